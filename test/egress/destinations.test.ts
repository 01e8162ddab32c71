import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createGuardedFetch } from '../../src/egress/guarded-fetch.ts'
import { inDns } from '../../src/egress/lookups.ts'
import { createListener, type Listener } from '../support/listener.ts'
import { createNameServer } from '../support/name-server.ts'

const nobodys = '2d00::1' // in a block that IANA has not assigned: public, but unused

let listener: Listener
beforeEach(async () => {
  listener = await createListener({ hangsUp: true })
  // Another test checks that a failure is reported late.
  vi.useFakeTimers({ toFake: ['setTimeout'] }).setTimerTickMode('nextTimerAsync')
})
afterEach(async () => {
  vi.useRealTimers()
  await listener.stop()
})

const production = { allowsLoopback: false, privateHosts: [] }
const at = (...addresses: string[]) => createGuardedFetch({ ...production, lookup: async () => addresses })

/** Returns why a request failed, which only the log shows. Fails if it succeeded. */
async function reasonOf(fetching: Promise<Response>): Promise<string> {
  const error = await fetching.then(
    () => expect.fail('it was fetched'),
    (thrown: Error) => thrown,
  )
  expect([error.name, error.message]).toEqual(['TypeError', 'the address could not be fetched'])
  return String((error.cause as Error).message)
}

describe('no connection is made', () => {
  // Each of these is another spelling of an address of this machine, and connects to it.
  test.each([
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '0177.0.0.01',
    '2130706433',
    '0x7f000001',
    '127.0.0.1.',
    '１２７。0。0。1',
    '%31%32%37.0.0.1',
    '0',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
  ])('to a special-use address written as %s', async (host) => {
    await fetch(`http://${host}:${listener.port}/`).catch(() => undefined)
    expect(listener.connections).toBe(1)

    const guarded = createGuardedFetch(production)
    expect(await reasonOf(guarded(`https://${host}:${listener.port}/`))).toContain('not an address of the Internet')
    expect(listener.connections).toBe(1)
  })

  test('to localhost, whether or not the name can be resolved', async () => {
    const guarded = createGuardedFetch(production)
    for (const host of ['localhost', 'LOCALHOST', 'localhost.', 'app.localhost'])
      await reasonOf(guarded(`https://${host}:${listener.port}/`))
    expect(listener.connections).toBe(0)
  })

  test.each([
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '169.254.169.254',
    '64:ff9b::7f00:1',
    '2002:7f00:1::1',
    'fd00::1',
    'fe80::1%lo',
  ])('to a host whose name resolves to %s', async (address) => {
    expect(await reasonOf(at(address)(`https://rp.example:${listener.port}/`))).toContain(address)
    expect(listener.connections).toBe(0)
  })

  test('to a host with both internal and external addresses, in any order', async () => {
    for (const addresses of [
      [nobodys, '127.0.0.1'],
      ['127.0.0.1', nobodys],
      [nobodys, nobodys, '::1'],
    ]) {
      expect(await reasonOf(at(...addresses)(`https://rp.example:${listener.port}/`))).toContain('not an address')
    }
    expect(listener.connections).toBe(0)
  })

  test('to another port or subdomain of a host that may have a private address', async () => {
    const privateHosts = ['inner.example', 'other.example:1', `more.example:${listener.port}`]
    const guarded = createGuardedFetch({ allowsLoopback: false, privateHosts, lookup: async () => ['127.0.0.1'] })
    for (const host of ['inner.example', 'other.example', 'a.more.example', 'more.example.', 'more.example.net'])
      expect(await reasonOf(guarded(`https://${host}:${listener.port}/`))).toContain('not an address of the Internet')
    expect(listener.connections).toBe(0)
    await reasonOf(guarded(`https://more.example:${listener.port}/`))
    expect(listener.connections).toBe(1)
  })

  test('to a host without an address', async () => {
    expect(await reasonOf(at()('https://rp.example/'))).toBe('rp.example has no address')
  })

  test('over http, to any host', async () => {
    for (const url of [`http://rp.example:${listener.port}/`, `http://127.0.0.1:${listener.port}/`]) {
      expect(await reasonOf(at('127.0.0.1')(url))).toBe('http: is not https:')
    }
    for (const url of [
      'file:///etc/passwd',
      'data:application/json,{}',
      'ftp://rp.example/',
      'blob:https://rp.example/x',
    ])
      expect(await reasonOf(at(nobodys)(url))).toContain('is not https:')
    expect(listener.connections).toBe(0)
  })

  test('with a user name and password, which the address of a client must not have', async () => {
    expect(await reasonOf(at(nobodys)(`https://user:password@rp.example:${listener.port}/`))).toContain('credentials')
  })
})

describe('DNS rebinding', () => {
  test('achieves nothing, because a name is looked up once and only the checked address is connected to', async () => {
    const answers = [[nobodys], ['127.0.0.1']]
    let lookups = 0
    const lookup = async () => answers[lookups++] ?? ['127.0.0.1']
    await reasonOf(createGuardedFetch({ ...production, lookup })(`https://rp.example:${listener.port}/`))
    expect([lookups, listener.connections]).toEqual([1, 0])
  })

  test('achieves nothing with a name server that changes its answers', async () => {
    let isFirst = true
    const nameServer = await createNameServer((type) => {
      if (!isFirst) return type === 'A' ? [[127, 0, 0, 1]] : []
      if (type === 'A') return []
      isFirst = false
      return [[0x2d, 0, ...Array(13).fill(0), 1]]
    })
    try {
      const guarded = createGuardedFetch({ ...production, lookup: inDns([nameServer.address]) })
      expect(await reasonOf(guarded(`https://rp.example:${listener.port}/`))).not.toContain('not an address')
      expect([nameServer.asked.toSorted(), listener.connections]).toEqual([['A', 'AAAA'], 0])
    } finally {
      await nameServer.stop()
    }
  })
})

describe('the DNS', () => {
  test('is asked for both kinds of address, and one special-use answer is enough to refuse', async () => {
    const nameServer = await createNameServer((type) =>
      type === 'A' ? [[127, 0, 0, 1]] : [[0x2d, 0, ...Array(13).fill(0), 1]],
    )
    try {
      const guarded = createGuardedFetch({ ...production, lookup: inDns([nameServer.address]) })
      expect(await reasonOf(guarded(`https://rp.example:${listener.port}/`))).toContain('rp.example is at 127.0.0.1')
      expect(listener.connections).toBe(0)
    } finally {
      await nameServer.stop()
    }
  })

  test('is waited for no longer than a request may take', async () => {
    const nameServer = await createNameServer(() => undefined)
    try {
      const guarded = createGuardedFetch({ ...production, lookup: inDns([nameServer.address]) })
      expect(await reasonOf(guarded('https://rp.example/'))).toContain('aborted due to timeout')
      expect(nameServer.asked.length).toBeGreaterThan(0)
    } finally {
      await nameServer.stop()
    }
  })

  test('is limited to the same time with any other way of looking up', async () => {
    const lookup = () => new Promise<string[]>(() => {})
    expect(await reasonOf(createGuardedFetch({ ...production, lookup })('https://rp.example/'))).toContain(
      'aborted due to timeout',
    )
  })
})

describe('Keycloak CVE-2026-4366, -4874; Zitadel CVE-2026-55671, CVE-2024-49753; Casdoor CVE-2026-5469', () => {
  test('no spelling, name or form of IPv6 gets around what is denied', async () => {
    const guarded = createGuardedFetch(production)
    for (const host of ['0', '127.1', '[::]', '[::ffff:0:0]', '[::ffff:7f00:1]', '[64:ff9b::7f00:1]', 'localhost'])
      await reasonOf(guarded(`https://${host}:${listener.port}/`))
    for (const address of ['0.0.0.0', '127.0.0.2', '::', '::ffff:127.0.0.1'])
      await reasonOf(at(address)(`https://rp.example:${listener.port}/`))
    expect(listener.connections).toBe(0)
  })
})

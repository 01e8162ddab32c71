import argon2 from 'argon2'
import type * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { allowances } from '../../src/authentication/attempts.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { whileQueueIsFull } from '../support/full-queue.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { shownRefusal } from '../support/refusals.ts'
import { beginLogin, completeLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor, formsOf, type Page } from '../support/visitor.ts'

let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration

const free = allowances.pair.burst // wrong passwords in a row before a person has to wait
const pairEverySeconds = allowances.pair.everySeconds

beforeAll(async () => {
  postern = await startPostern({ TRUSTED_PROXIES: '127.0.0.1,::1' })
  client = await postern.createClient()
  config = await discover(postern, client)
  for (const name of ['ada', 'grace', 'disabled', 'invited']) await postern.createAccount(`${name}@example.com`)
  await postern.createAccount('Jürgen@Example.com')
  await postern.database.query(`update accounts set disabled_at = now() where email = 'disabled@example.com'`)
  await postern.database.query(
    `delete from password_credentials where account_id = (select id from accounts where email = 'invited@example.com')`,
  )
})
afterAll(() => postern?.stop())
beforeEach(() => postern.database.query('delete from throttles'))

/** Opens the sign-in page and returns a function that tries passwords from any address. */
async function createGuesser() {
  const { page, visitor } = await beginLogin(config, { issuer: postern.issuer })
  const { hidden = {} } = formsOf(page.body)[0] ?? {}
  return (email: string, guess: string, address = '192.0.2.1'): Promise<Page> =>
    visitor.post(`${page.url}/sign-in`, { ...hidden, email, password: guess }, { 'x-forwarded-for': address })
}

/** Tries passwords until told to wait, and returns how many tries that took. */
async function guessUntilThrottled(emails: string[], addresses: string[]): Promise<number> {
  const guess = await createGuesser()
  for (let count = 0; count < 20; count++) {
    const { status } = await guess(
      String(emails[count % emails.length]),
      `wrong ${count}`,
      addresses[count % addresses.length],
    )
    if (status === 429) return count
  }
  return Number.POSITIVE_INFINITY
}

describe('a refusal reveals nothing', () => {
  test('because it is the same for an unknown account, a wrong password, a disabled account and an account without a password', async () => {
    const answers = []
    for (const [email, secret] of [
      ['nobody@example.com', password],
      ['ada@example.com', 'wrong'],
      ['disabled@example.com', password],
      ['disabled@example.com', 'wrong'],
      ['invited@example.com', password],
    ] as const) {
      answers.push(shownRefusal(await (await createGuesser())(email, secret), email))
    }
    expect(answers[0]).toMatchObject({ status: 401 })
    expect(JSON.stringify(answers[0])).toContain('That email and password do not match.')
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('because the wait is the same whether or not the account exists', async () => {
    const counts = []
    for (const email of ['nobody@example.com', 'ada@example.com', 'disabled@example.com']) {
      counts.push(await guessUntilThrottled([email], [`192.0.2.${counts.length}`]))
    }
    expect(counts).toEqual([free, free, free])
  })

  test('because a wrong password as long as a book is refused like any other', async () => {
    const guess = await createGuesser()
    expect((await guess('ada@example.com', password + 'x'.repeat(60_000))).status).toBe(401)
    expect((await guess('ada@example.com', 'x'.repeat(1_025))).status).toBe(401)
  })

  test('because the log and the audit contain neither what was typed nor whether the account exists', async () => {
    postern.logged.length = 0
    const guess = await createGuesser()
    await guess('nobody@example.com', 'hunter2 is my password')
    await guess('ada@example.com', 'hunter2 is my password')
    const logged = postern.logged.join('')
    expect(logged).not.toContain('hunter2')
    expect(logged).not.toContain('@example.com')
    const events = await postern.database.query('select * from audit_events')
    expect(JSON.stringify(events)).not.toContain('hunter2')
  })
})

describe('every spelling of an address is the same account', () => {
  test.each([
    'ADA@EXAMPLE.COM',
    '  ada@example.com ',
    'ada@example.com\t',
    'ａｄａ@example.com', // full width letters
  ])('because “%s” signs in', async (email) => {
    expect((await (await createGuesser())(email, password)).body).toContain('value="allow"')
  })

  test.each(['jürgen@example.com', 'JÜRGEN@EXAMPLE.COM', 'ju\u0308rgen@example.com'])(
    'because “%s” signs in, composed or not',
    async (email) => {
      expect((await (await createGuesser())(email, password)).body).toContain('value="allow"')
    },
  )

  test('because every spelling counts towards the same limit', async () => {
    const spellings = ['ada@example.com', 'ADA@example.com', ' ada@EXAMPLE.com ', 'ａｄａ@example.com']
    expect(await guessUntilThrottled(spellings, ['192.0.2.1'])).toBe(free)
  })
})

describe('guessing is slowed down', () => {
  test('because some wrong passwords lead to 429 with Retry-After, even for the right one (RFC 6585 §4)', async () => {
    expect(await guessUntilThrottled(['ada@example.com'], ['192.0.2.1'])).toBe(free)
    const answer = await (await createGuesser())('ada@example.com', password)
    expect(answer.status).toBe(429)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(answer.body).toContain('Too many attempts.')
    expect(answer.body).toContain('value="ada@example.com"')
  })

  test('without locking the person out: the right password works from another address', async () => {
    await guessUntilThrottled(['ada@example.com'], ['192.0.2.1'])
    const answer = await (await createGuesser())('ada@example.com', password, '198.51.100.7')
    expect(answer.body).toContain('value="allow"')
  })

  test('only for a while: after the wait the right password works from the same address', async () => {
    await guessUntilThrottled(['ada@example.com'], ['192.0.2.1'])
    await postern.database.query(
      `update throttles set expires_at = expires_at - interval '${pairEverySeconds} seconds'`,
    )
    expect((await (await createGuesser())('ada@example.com', password)).body).toContain('value="allow"')
  })

  test('by a wait that does not grow with attempts made while waiting', async () => {
    await guessUntilThrottled(['ada@example.com'], ['192.0.2.1'])
    const guess = await createGuesser()
    for (let count = 0; count < 10; count++) {
      const seconds = Number((await guess('ada@example.com', 'wrong')).headers.get('retry-after'))
      expect(seconds).toBeLessThanOrEqual(pairEverySeconds)
    }
  })

  test('but a successful sign-in resets the count of mistyped passwords', async () => {
    const guess = await createGuesser()
    for (let count = 0; count < free - 2; count++) await guess('ada@example.com', 'wrong')
    await guess('ada@example.com', password)
    expect(await guessUntilThrottled(['ada@example.com'], ['192.0.2.1'])).toBe(free)
  })

  test('because attempts at many accounts from one address are counted together', async () => {
    const guess = await createGuesser()
    const statuses = []
    const { burst } = allowances.network
    for (let count = 0; count < burst + 5; count++) {
      statuses.push((await guess(`person${count}@example.com`, 'wrong')).status)
    }
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(burst + 1)
    expect(statuses.at(-1)).toBe(429)
  })

  test('because parallel attempts are counted one by one', async () => {
    const guess = await createGuesser()
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => guess('ada@example.com', `wrong ${n}`)))
    const tried = answers.filter(({ status }) => status === 401)
    expect(tried.length).toBeLessThanOrEqual(free)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(40 - tried.length)
  })

  test('even with a new browser, a new interaction or after a restart of the server', async () => {
    await guessUntilThrottled(['ada@example.com'], ['192.0.2.1'])
    await postern.restart()
    expect((await (await createGuesser())('ada@example.com', password)).status).toBe(429)
  })
})

describe('the address of a guesser', () => {
  test('is the one that a trusted proxy saw, whatever the guesser writes in front of it', async () => {
    const spoofed = Array.from({ length: 20 }, (_, n) => `203.0.113.${n}, 192.0.2.1`)
    expect(await guessUntilThrottled(['ada@example.com'], spoofed)).toBe(free)
  })

  test('is that of the connection without a trusted proxy, whatever the guesser writes', async () => {
    const direct = await startPostern()
    try {
      await direct.createAccount('ada@example.com')
      const { page, visitor } = await beginLogin(await discover(direct, await direct.createClient()), {
        issuer: direct.issuer,
      })
      const statuses = []
      for (let count = 0; count < free + 1; count++) {
        const fields = { ...formsOf(page.body)[0]?.hidden, email: 'ada@example.com', password: 'wrong' }
        const headers = {
          'x-forwarded-for': `192.0.2.${count}`,
          forwarded: `for=192.0.2.${count}`,
          'x-real-ip': `192.0.2.${count}`,
        }
        statuses.push((await visitor.post(`${page.url}/sign-in`, fields, headers)).status)
      }
      expect(statuses).toEqual([...Array(free).fill(401), 429])
    } finally {
      await direct.stop()
    }
  })
})

describe('the session of a sign-in', () => {
  test('is not one that an attacker planted in the browser before', async () => {
    const attacker = createVisitor(postern.issuer)
    await attacker.get(`${postern.issuer}/device`)
    const planted = [...attacker.cookies].filter(([key]) => key.startsWith('postern_session'))
    expect(planted.length).toBeGreaterThan(0)

    const victim = createVisitor(postern.issuer)
    for (const [key, cookie] of planted) victim.cookies.set(key, cookie)
    await login(postern, client, { email: 'ada@example.com', visitor: victim })

    const mine = (browser: typeof victim) => browser.cookies.get('postern_session /')?.value
    expect(mine(victim)).not.toBe(mine(attacker))
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor: attacker, prompt: 'none' })
    expect(new URL(page.url).searchParams.get('error')).toBe('login_required')
  })

  test('waits while another person signs in at the same browser, and is not theirs', async () => {
    const { visitor, tokens } = await login(postern, client, { email: 'ada@example.com' })
    const former = createVisitor(postern.issuer, { cookies: new Map(visitor.cookies) })
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'login' })
    await completeLogin({ page: await visitor.signIn(page, 'grace@example.com'), visitor }, 'grace@example.com')
    const later = await login(postern, client, { email: '', visitor })
    expect(later.tokens.claims()?.sub).not.toBe(tokens.claims()?.sub)
    const before = await login(postern, client, { email: '', visitor: former })
    expect(before.tokens.claims()?.sub).toBe(tokens.claims()?.sub)
  })
})

describe('password hashes', () => {
  let earlier: TestPostern
  beforeAll(async () => {
    earlier = postern
    postern = await startPostern({ TRUSTED_PROXIES: '127.0.0.1,::1' }, { hashing: 'real' })
    config = await discover(postern, await postern.createClient())
    await postern.createAccount('ada@example.com')
  })
  afterAll(() => earlier?.stop())

  test('with weaker parameters are replaced at the next sign-in', async () => {
    const old = await argon2.hash(password, { type: argon2.argon2id, memoryCost: 4_096, timeCost: 2, parallelism: 1 })
    const { id } = await postern.createAccount('old@example.com')
    await postern.database.query('update password_credentials set hash = $2 where account_id = $1', [id, old])
    const hash = async () =>
      String(
        (await postern.database.query('select hash from password_credentials where account_id = $1', [id]))[0]?.[
          'hash'
        ],
      )

    const guess = await createGuesser()
    await guess('old@example.com', 'wrong')
    expect(await hash()).toBe(old)
    expect((await guess('old@example.com', password)).body).toContain('value="allow"')
    const renewed = await hash()
    expect(renewed).toMatch(/^\$argon2id\$v=19\$m=19456,(t=2,p=1|p=1,t=2)\$/)
    expect((await (await createGuesser())('old@example.com', password)).body).toContain('value="allow"')
    expect(await hash()).toBe(renewed)
  })

  test('beyond what can be checked in time make some people try again, without costing anybody an attempt', async () => {
    const guess = await createGuesser()
    const storm = () =>
      Promise.all(Array.from({ length: 6 }, (_, n) => guess(`storm${n}@example.com`, 'wrong', `198.51.100.${n}`)))
    const answers = [...(await whileQueueIsFull(postern, storm)), ...(await storm())]
    const busy = answers.filter(({ status }) => status === 503)
    expect(busy.length).toBeGreaterThan(0)
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(answers.length - busy.length)
    expect(busy[0]?.body).toContain('Many people are signing in at once.')
    expect(Number(busy[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
    const [row] = await postern.database.query('select count(*)::int as n from throttles where expires_at > now()')
    // Each failure is counted for the account, the address and both together.
    expect(row?.['n']).toBe(3 * (answers.length - busy.length))
    expect((await (await createGuesser())('ada@example.com', password)).body).toContain('value="allow"')
  })
})

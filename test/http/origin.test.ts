import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOriginPin, type Pinned } from '../../src/http/middleware/origin.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const issuer = 'https://id.example'

/** What the pin makes of a request from `peer` with these headers, and the headers it leaves. */
function pinned(
  peer: string,
  headers: Record<string, string>,
  trustedProxies: string[] = [],
): { outcome: Pinned; headers: IncomingMessage['headers'] } {
  const req = { socket: { remoteAddress: peer }, headers: { host: 'id.example', ...headers }, url: '/' }
  return { outcome: createOriginPin({ issuer, trustedProxies })(req as IncomingMessage), headers: req.headers }
}
const addressOf = (...given: Parameters<typeof pinned>) => (pinned(...given).outcome as { address: string }).address

describe('the address of the client', () => {
  test.each([
    ['198.51.100.9', [], '203.0.113.5', '198.51.100.9'], // nobody is trusted
    ['198.51.100.9', ['10.0.0.0/8'], '203.0.113.5', '198.51.100.9'], // somebody else is
    ['10.1.2.3', ['10.0.0.0/8'], '203.0.113.5', '203.0.113.5'],
    ['10.1.2.3', ['10.0.0.0/8'], '', '10.1.2.3'],
    ['11.1.2.3', ['10.0.0.0/8'], '203.0.113.5', '11.1.2.3'], // just outside
    ['10.1.2.3', ['10.1.2.3'], '203.0.113.5', '203.0.113.5'],
    ['10.1.2.4', ['10.1.2.3'], '203.0.113.5', '10.1.2.4'],
    // chains: the right-most that is not a proxy of ours
    ['10.0.0.1', ['10.0.0.0/8'], '1.1.1.1, 203.0.113.5', '203.0.113.5'],
    ['10.0.0.1', ['10.0.0.0/8'], '1.1.1.1, 203.0.113.5, 10.0.0.2', '203.0.113.5'],
    ['10.0.0.1', ['10.0.0.0/8'], '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['10.0.0.1', ['10.0.0.0/8'], '  203.0.113.5 ,10.0.0.2 ', '203.0.113.5'],
    // some proxies write the port, too
    ['10.0.0.1', ['10.0.0.0/8'], '1.1.1.1:1, 203.0.113.5:443', '203.0.113.5'],
    ['10.0.0.1', ['10.0.0.0/8'], '[2001:db8::5]:443, 10.0.0.2:80', '2001:db8::5'],
    ['10.0.0.1', ['10.0.0.0/8'], '[2001:db8::5]', '2001:db8::5'],
    // nonsense ends the chain where it stands
    ['10.0.0.1', ['10.0.0.0/8'], '203.0.113.5:', '10.0.0.1'],
    ['10.0.0.1', ['10.0.0.0/8'], '203.0.113.5:443:80', '10.0.0.1'],
    ['10.0.0.1', ['10.0.0.0/8'], '[203.0.113.5', '10.0.0.1'],
    ['10.0.0.1', ['10.0.0.0/8'], 'unknown', '10.0.0.1'],
    ['10.0.0.1', ['10.0.0.0/8'], '203.0.113.5, nonsense, 10.0.0.2', '10.0.0.2'],
    ['10.0.0.1', ['10.0.0.0/8'], "'; drop table accounts", '10.0.0.1'],
    // IPv6, and IPv4 in its clothes
    ['::1', ['::1'], '2001:db8::5', '2001:db8::5'],
    ['fd00::1', ['fd00::/8'], '2001:db8::5', '2001:db8::5'],
    ['fe00::1', ['fd00::/8'], '2001:db8::5', 'fe00::1'],
    ['::ffff:10.0.0.1', ['10.0.0.0/8'], '203.0.113.5', '203.0.113.5'],
    ['::ffff:10.0.0.1', ['10.0.0.0/8'], '::ffff:203.0.113.5', '203.0.113.5'],
    ['::ffff:10.0.0.1', ['10.0.0.0/8'], '[::FFFF:203.0.113.5]:443', '203.0.113.5'],
    ['::ffff:198.51.100.9', ['10.0.0.0/8'], '203.0.113.5', '198.51.100.9'],
    ['10.0.0.1', ['10.0.0.0/8', 'fd00::/8'], '2001:db8::5, fd00::7', '2001:db8::5'],
  ])('from %s, trusting %j, told “%s”, is %s', (peer, trusted, forwardedFor, address) => {
    const headers = { 'x-forwarded-for': forwardedFor }
    expect(addressOf(peer, headers, trusted)).toBe(address)
    expect(pinned(peer, headers, trusted).headers['x-forwarded-for']).toBe(address)
  })
})

describe('the host of a request', () => {
  const refusalOf = (...given: Parameters<typeof pinned>) => 'refusal' in pinned(...given).outcome

  test.each([
    ['evil.example', true],
    ['id.example', false],
    ['id.example:443', true],
    ['id.example.', true],
    ['ID.EXAMPLE', true],
    ['id.example@evil.example', true],
    ['', true],
  ])('“%s” is refused: %s', (host, isRefused) => {
    expect(refusalOf('198.51.100.9', { host })).toBe(isRefused)
  })

  test.each([
    [{ 'x-forwarded-host': 'evil.example' }, false], // from a stranger it says nothing
    [{ 'x-forwarded-proto': 'http' }, false],
    [{ host: 'evil.example', 'x-forwarded-host': 'id.example' }, true],
  ])('forwarded by a stranger as %o is refused: %s', (headers, isRefused) => {
    expect(refusalOf('198.51.100.9', headers, ['10.0.0.0/8'])).toBe(isRefused)
  })

  test.each([
    [{ host: 'backend:3000', 'x-forwarded-host': 'id.example', 'x-forwarded-proto': 'https' }, false],
    [{ host: 'id.example', 'x-forwarded-proto': 'https' }, false],
    [{ host: 'id.example' }, false],
    [{ 'x-forwarded-host': 'evil.example' }, true],
    [{ 'x-forwarded-host': 'id.example, evil.example' }, true],
    [{ 'x-forwarded-proto': 'http' }, true],
    [{ 'x-forwarded-proto': 'https, http' }, true],
  ])('forwarded by a trusted proxy as %o is refused: %s', (headers, isRefused) => {
    expect(refusalOf('10.0.0.1', headers, ['10.0.0.0/8'])).toBe(isRefused)
  })

  test('whatever was sent, what is read later is the issuer', () => {
    const { headers } = pinned('198.51.100.9', {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'for=1.1.1.1;host=evil.example;proto=http',
    })
    expect(headers).toEqual({
      host: 'id.example',
      'x-forwarded-host': 'id.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '198.51.100.9',
    })
  })
})

describe('a running server', () => {
  let postern: TestPostern
  let host: string

  beforeAll(async () => {
    postern = await startPostern()
    host = new URL(postern.issuer).host
  })
  afterAll(() => postern?.stop())

  test('forwarded by an address that is not trusted is a warning in the log that names the setting', async () => {
    await fetch(postern.issuer, { headers: { 'x-forwarded-for': '203.0.113.5' } })
    const warnings = postern.logged.filter((line) => line.includes('is not among TRUSTED_PROXIES'))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('"address":"127.0.0.1"')
  })

  /** fetch() writes the Host header itself; this does not. */
  function get(target: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      request(
        { host: '127.0.0.1', port: postern.config.PORT, path: target, headers: { host, ...headers } },
        (answer) => {
          let body = ''
          answer.on('data', (chunk) => {
            body += chunk
          })
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
        },
      )
        .once('error', reject)
        .end()
    })
  }

  const metadata = '/.well-known/openid-configuration'

  test.each([
    {},
    { 'x-forwarded-host': 'evil.example' },
    { 'x-forwarded-proto': 'https' },
    { 'x-forwarded-port': '1' },
    { forwarded: 'host=evil.example;proto=https' },
    { 'x-original-url': '/evil', 'x-rewrite-url': '/evil' },
    { 'x-forwarded-prefix': '/evil', 'x-forwarded-server': 'evil.example' },
    { x_forwarded_host: 'evil.example', x_forwarded_proto: 'https', X_Forwarded_For: '203.0.113.5' },
  ])('says the same of itself, byte for byte, when asked with %o', async (headers) => {
    const { status, body } = await get(metadata, headers as Record<string, string>)
    expect(status).toBe(200)
    expect(body).toBe((await get(metadata)).body)
    expect(body).toContain(`"token_endpoint":"${postern.issuer}/oauth/token"`)
    expect(body).not.toContain('evil')
  })

  test.each(['evil.example', '127.0.0.1', 'localhost', `localhost:1`])(
    'asked as %s answers 421 (RFC 9110 §15.5.20)',
    async (other) => {
      const { status, body } = await get(metadata, { host: other })
      expect(status).toBe(421)
      expect(body).not.toContain('token_endpoint')
    },
  )

  test('does not believe a host in the request line (RFC 9112 §3.2.2)', async () => {
    for (const target of ['http://evil.example', 'HTTP://evil.example', 'https://evil.example:1', 'evil:']) {
      expect([400, 421]).toContain((await get(target + metadata)).status)
    }
    expect(await get(`http://${host}${metadata}`)).toEqual(await get(metadata))
    expect((await get('http://evil.example/health/live')).status).toBe(421)
  })

  test.each([
    '/%E0%A4%A',
    '/interaction/%E0%A4%A',
    '/assets/%ff',
    '/assets/..%2f..%2fpackage.json',
    '//evil.example/',
    '/\\evil.example',
    '/oauth/authorize/%00',
    '/interaction/%00/x',
  ])('asked for %s answers with a 4xx and nothing else', async (target) => {
    const { status, body } = await get(target, { accept: 'text/html' })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(body).not.toContain('postern"')
  })

  test('lets probes use any name, and tells them nothing else', async () => {
    expect(await get('/health/live', { host: '10.0.0.7:3000' })).toEqual({ status: 200, body: '{"status":"live"}' })
    expect(await get('/health/ready', { host: '10.0.0.7:3000' })).toEqual({ status: 200, body: '{"status":"ready"}' })
    expect((await get('/health/../oauth/jwks', { host: 'evil.example' })).status).not.toBe(200)
    expect((await get('/health/live/../../', { host: 'evil.example' })).status).not.toBe(200)
  })
})

describe('forwarded by an address that is not trusted', () => {
  test('is told once, with that address, and never where the proxy is trusted', () => {
    const told: string[] = []
    const pin = createOriginPin({
      issuer,
      trustedProxies: ['10.0.0.1'],
      onUntrustedProxy: (address) => told.push(address),
    })
    const ask = (remoteAddress: string, headers: Record<string, string>) =>
      pin({
        socket: { remoteAddress },
        headers: { host: 'id.example', ...headers },
        url: '/',
      } as unknown as IncomingMessage)

    ask('192.0.2.7', {})
    ask('10.0.0.1', { 'x-forwarded-for': '203.0.113.5' })
    expect(told).toEqual([])
    ask('192.0.2.7', { 'x-forwarded-for': '203.0.113.5' })
    ask('192.0.2.8', { 'x-forwarded-for': '203.0.113.5' })
    expect(told).toEqual(['192.0.2.7'])
  })
})

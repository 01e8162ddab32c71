import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOriginPin, type Pinned, reasonOf } from '../../src/http/middleware/origin.ts'
import { withoutOwnScripts } from '../support/page-examples.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const issuer = 'https://id.example'

/** Returns the pin's decision on a request from `peer` with these headers, and the headers that it leaves. */
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
    ['198.51.100.9', [], '203.0.113.5', '198.51.100.9'], // no proxy is trusted
    ['198.51.100.9', ['10.0.0.0/8'], '203.0.113.5', '198.51.100.9'], // another proxy is trusted
    ['10.1.2.3', ['10.0.0.0/8'], '203.0.113.5', '203.0.113.5'],
    ['10.1.2.3', ['10.0.0.0/8'], '', '10.1.2.3'],
    ['11.1.2.3', ['10.0.0.0/8'], '203.0.113.5', '11.1.2.3'], // just outside
    ['10.1.2.3', ['10.1.2.3'], '203.0.113.5', '203.0.113.5'],
    ['10.1.2.4', ['10.1.2.3'], '203.0.113.5', '10.1.2.4'],
    // chains: the rightmost address that is not one of our proxies
    ['10.0.0.1', ['10.0.0.0/8'], '1.1.1.1, 203.0.113.5', '203.0.113.5'],
    ['10.0.0.1', ['10.0.0.0/8'], '1.1.1.1, 203.0.113.5, 10.0.0.2', '203.0.113.5'],
    ['10.0.0.1', ['10.0.0.0/8'], '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['10.0.0.1', ['10.0.0.0/8'], '  203.0.113.5 ,10.0.0.2 ', '203.0.113.5'],
    // some proxies add the port
    ['10.0.0.1', ['10.0.0.0/8'], '1.1.1.1:1, 203.0.113.5:443', '203.0.113.5'],
    ['10.0.0.1', ['10.0.0.0/8'], '[2001:db8::5]:443, 10.0.0.2:80', '2001:db8::5'],
    ['10.0.0.1', ['10.0.0.0/8'], '[2001:db8::5]', '2001:db8::5'],
    // an invalid entry ends the chain
    ['10.0.0.1', ['10.0.0.0/8'], '203.0.113.5:', '10.0.0.1'],
    ['10.0.0.1', ['10.0.0.0/8'], '203.0.113.5:443:80', '10.0.0.1'],
    ['10.0.0.1', ['10.0.0.0/8'], '[203.0.113.5', '10.0.0.1'],
    ['10.0.0.1', ['10.0.0.0/8'], 'unknown', '10.0.0.1'],
    ['10.0.0.1', ['10.0.0.0/8'], '203.0.113.5, nonsense, 10.0.0.2', '10.0.0.2'],
    ['10.0.0.1', ['10.0.0.0/8'], "'; drop table accounts", '10.0.0.1'],
    // IPv6, and IPv4 mapped to IPv6
    ['::1', ['::1'], '2001:db8::5', '2001:db8::5'],
    ['fd00::1', ['fd00::/8'], '2001:db8::5', '2001:db8::5'],
    ['fe00::1', ['fd00::/8'], '2001:db8::5', 'fe00::1'],
    ['::ffff:10.0.0.1', ['10.0.0.0/8'], '203.0.113.5', '203.0.113.5'],
    ['::ffff:10.0.0.1', ['10.0.0.0/8'], '::ffff:203.0.113.5', '203.0.113.5'],
    ['::ffff:10.0.0.1', ['10.0.0.0/8'], '[::FFFF:203.0.113.5]:443', '203.0.113.5'],
    ['::ffff:198.51.100.9', ['10.0.0.0/8'], '203.0.113.5', '198.51.100.9'],
    ['10.0.0.1', ['10.0.0.0/8', 'fd00::/8'], '2001:db8::5, fd00::7', '2001:db8::5'],
  ])('from %s, trusting %j and forwarded for “%s”, is %s', (peer, trusted, forwardedFor, address) => {
    const headers = { 'x-forwarded-for': forwardedFor }
    expect(addressOf(peer, headers, trusted)).toBe(address)
    expect(pinned(peer, headers, trusted).headers['x-forwarded-for']).toBe(address)
  })
})

describe('the host of a request', () => {
  const refusalOf = (...given: Parameters<typeof pinned>) => 'mismatch' in pinned(...given).outcome

  // A URL parser turns each of these into the issuer's host (RFC 3986 §6.2.3, RFC 9110 §4.2.3).
  const same = ['id.example', 'id.example:443', 'ID.EXAMPLE', 'Id.Example:443', 'id.example:', ' id.example ']
  const others = [
    'evil.example',
    'id.example.',
    'id.example.:443',
    'id.example:80',
    'id.example:8443',
    'id.example:443:443',
    'xid.example',
    'id.example.evil.example',
    'id.example@evil.example',
    'evil.example@id.example',
    'id.example/',
    'id.example?',
    'id.example#',
    'id.example\\',
    '%69d.example',
    'ｉd.example',
    'id.example id.example',
    'https://id.example',
    '[::1]',
    ',',
    '',
  ]
  /** The ways for a request to name its host. */
  const carriers: [string, (host: string) => Parameters<typeof pinned>][] = [
    ['Host', (host) => ['198.51.100.9', { host }]],
    ['X-Forwarded-Host', (host) => ['10.0.0.1', { host: 'backend', 'x-forwarded-host': host }, ['10.0.0.0/8']]],
    ['all of X-Forwarded-Host', (host) => ['10.0.0.1', { 'x-forwarded-host': `id.example, ${host}` }, ['10.0.0.0/8']]],
    [
      'the first X-Forwarded-Host',
      (host) => ['10.0.0.1', { 'x-forwarded-host': `${host},id.example` }, ['10.0.0.0/8']],
    ],
  ]

  test.each(carriers.flatMap(([name, ask]) => same.map((host) => [name, host, ask] as const)))(
    'in %s is accepted as the same: “%s”',
    (_name, host, ask) => {
      expect(refusalOf(...ask(host))).toBe(false)
    },
  )

  test.each(carriers.flatMap(([name, ask]) => others.map((host) => [name, host, ask] as const)))(
    'in %s is rejected as another: “%s”',
    (_name, host, ask) => {
      expect(refusalOf(...ask(host))).toBe(true)
    },
  )

  test('must include the port of an issuer that has one', () => {
    const refusal = (host: string, at = 'http://localhost:3000') => {
      const req = { socket: { remoteAddress: '::1' }, headers: { host }, url: '/' }
      const { mismatch } = createOriginPin({ issuer: at, trustedProxies: [] })(req as IncomingMessage)
      return mismatch && reasonOf(at, mismatch)
    }
    for (const host of ['localhost:3000', 'LOCALHOST:3000']) expect([host, refusal(host)]).toEqual([host, undefined])
    for (const host of ['localhost', 'localhost:80', 'localhost:3001', '127.0.0.1:3000', '[::1]:3000']) {
      expect([host, refusal(host)]).toEqual([host, expect.stringContaining('http://localhost:3000')])
    }
    expect(refusal('localhost:80', 'http://localhost')).toBeUndefined()
    expect(refusal('localhost:443', 'http://localhost')).toBeDefined()
  })

  test('is called the proxy’s responsibility only if there is a proxy', () => {
    const refusal = (headers: Record<string, string>) => {
      const { outcome } = pinned('198.51.100.9', { host: 'evil.example', ...headers })
      return outcome.mismatch && reasonOf('https://id.example', outcome.mismatch)
    }
    expect(refusal({})).toBe('This server is https://id.example. The request was for "evil.example".')
    for (const name of ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']) {
      expect([name, refusal({ [name]: 'x' })]).toEqual([name, expect.stringContaining('a proxy in front must pass')])
    }
  })

  test.each([
    [{ 'x-forwarded-host': 'evil.example' }, false], // means nothing from a stranger
    [{ 'x-forwarded-proto': 'http' }, false],
    [{ host: 'evil.example', 'x-forwarded-host': 'id.example' }, true],
  ])('forwarded by a stranger as %o is rejected: %s', (headers, isRefused) => {
    expect(refusalOf('198.51.100.9', headers, ['10.0.0.0/8'])).toBe(isRefused)
  })

  test.each([
    [{ host: 'backend:3000', 'x-forwarded-host': 'id.example', 'x-forwarded-proto': 'https' }, false],
    [{ host: 'id.example', 'x-forwarded-proto': 'https' }, false],
    [{ host: 'id.example' }, false],
    [{ 'x-forwarded-host': 'evil.example' }, true],
    [{ 'x-forwarded-host': 'id.example, evil.example' }, true],
    [{ 'x-forwarded-proto': 'http' }, true],
    // The first value counts, which the outermost proxy wrote.
    [{ 'x-forwarded-proto': 'HTTPS' }, false],
    [{ 'x-forwarded-proto': 'https,http' }, false],
    [{ 'x-forwarded-proto': 'https, http' }, false],
    [{ 'x-forwarded-proto': ' https , https' }, false],
    [{ 'x-forwarded-proto': 'http,https' }, true],
    [{ 'x-forwarded-proto': ',https' }, true],
    [{ 'x-forwarded-proto': 'wss' }, true],
  ])('forwarded by a trusted proxy as %o is rejected: %s', (headers, isRefused) => {
    expect(refusalOf('10.0.0.1', headers, ['10.0.0.0/8'])).toBe(isRefused)
  })

  test('is always the issuer’s for later handlers, whatever was sent', () => {
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

  test('logs a warning that names the setting when an untrusted address forwards a request', async () => {
    await fetch(postern.issuer, { headers: { 'x-forwarded-for': '203.0.113.5' } })
    const warnings = postern.logged.filter((line) => line.includes('is not in TRUSTED_PROXIES'))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('"address":"127.0.0.1"')
  })

  /** Sends a request with the given Host header, which fetch() would replace. */
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
  ])('returns the same metadata, byte for byte, to a request with %o', async (headers) => {
    const { status, body } = await get(metadata, headers as Record<string, string>)
    expect(status).toBe(200)
    expect(body).toBe((await get(metadata)).body)
    expect(body).toContain(`"token_endpoint":"${postern.issuer}/oauth/token"`)
    expect(body).not.toContain('evil')
  })

  test.each(['evil.example', '127.0.0.1', 'localhost', `localhost:1`])(
    'answers 421 as %s (RFC 9110 §15.5.20), and logs why',
    async (other) => {
      postern.logged.length = 0
      const { status, body } = await get(metadata, { host: other })
      expect(status).toBe(421)
      expect(body).not.toContain('token_endpoint')
      expect(postern.logged.map((line) => JSON.parse(line))).toEqual([
        expect.objectContaining({
          msg: 'request',
          status: 421,
          method: 'GET',
          path: metadata,
          address: '127.0.0.1',
          requestId: expect.any(String),
          reason: `This server is ${postern.issuer}. The request was for "${other}".`,
        }),
      ])
    },
  )

  test('logs a 421 without secrets of its holder, and with a limited length', async () => {
    postern.logged.length = 0
    await get('/interaction/a-secret-identifier?code=a-secret', { host: `evil.example${'x'.repeat(5_000)}` })
    const [line = ''] = postern.logged
    expect(line).toContain('"path":"/interaction/:id"')
    expect(line).not.toContain('a-secret')
    expect(line.length).toBeLessThan(1_000)
  })

  test('leads a person who uses another name of this machine to the issuer', async () => {
    const headers = { accept: 'text/html', host: `127.0.0.1:${postern.config.PORT}` }
    const { status, body } = await get('/', headers)
    expect([status, body.includes(`<a class="button primary" href="${postern.issuer}">`)]).toEqual([421, true])
    expect(body).not.toContain('a proxy in front')
    expect((await get('/', { ...headers, 'x-forwarded-for': '192.0.2.1' })).body).toContain(
      'a proxy in front must pass',
    )
    const sheet = /href="(\/assets\/postern\.css[^"]*)"/.exec(body)?.[1]
    expect((await get(String(sheet), headers)).status).toBe(200)
    expect((await get('/', { host: headers.host })).body).toMatch(/^This server is http/)
    const hostile = await get('/', { ...headers, host: '"><script>alert(1)</script>' })
    expect([hostile.status, withoutOwnScripts(hostile.body).includes('<script')]).toEqual([421, false])
  })

  test('does not trust a host in the request line (RFC 9112 §3.2.2)', async () => {
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
  ])('answers %s with a 4xx and nothing else', async (target) => {
    const { status, body } = await get(target, { accept: 'text/html' })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(body).not.toContain('postern"')
  })

  test('lets probes use any host name, and reveals nothing else to them', async () => {
    expect(await get('/health/live', { host: '10.0.0.7:3000' })).toEqual({ status: 200, body: '{"status":"live"}' })
    expect(await get('/health/ready', { host: '10.0.0.7:3000' })).toEqual({ status: 200, body: '{"status":"ready"}' })
    expect((await get('/health/../oauth/jwks', { host: 'evil.example' })).status).not.toBe(200)
    expect((await get('/health/live/../../', { host: 'evil.example' })).status).not.toBe(200)
  })
})

describe('a request forwarded by an untrusted address', () => {
  test('is reported once with that address, and never if the proxy is trusted', () => {
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

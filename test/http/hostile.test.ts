import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { base64url } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, discover } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com')
})
afterAll(() => postern?.stop())

async function register(metadata: Record<string, unknown>): Promise<Response> {
  const made = (await operate(postern, 'registration-token create', {})) as { initial_access_token: string }
  return fetch(`${postern.issuer}/oauth/register`, {
    method: 'POST',
    headers: { authorization: `Bearer ${made.initial_access_token}`, 'content-type': 'application/json' },
    body: JSON.stringify(metadata),
  })
}

describe('a page that names the place to return to', () => {
  test('never shows a host that an app put behind its own scheme', async () => {
    const native = { application_type: 'native', token_endpoint_auth_method: 'none', client_name: 'My Bank' }
    const refused = await register({ ...native, redirect_uris: ['com.example.app://www.mybank.example/cb'] })
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: 'invalid_redirect_uri' })

    const redirectUri = 'com.example.app://www.mybank.example/cb' // an earlier release could register this
    const client = await postern.createClient({ ...native, redirect_uris: ['com.example.app:/cb'] })
    await postern.database.query(`update clients set metadata = metadata || $2 where id = $1`, [
      client.client_id,
      { redirect_uris: [redirectUri] },
    ])
    postern.server.postern.clients.forget(client.client_id)
    const config = await discover(postern, client)
    const { page } = await beginLogin(config, { issuer: postern.issuer, redirect_uri: redirectUri })
    expect(page.body).not.toContain('www.mybank.example')
    expect(page.body).toContain('An app on this device')
  })
})

describe('text that cannot be stored', () => {
  test.each([
    ['client_name', { client_name: '\ud800', redirect_uris: ['https://rp.example/cb'] }],
    ['redirect_uris', { redirect_uris: ['https://rp.example/\ud800'] }],
  ])('makes a registration a bad request, not an error of the server (%s)', async (_field, metadata) => {
    expect((await register(metadata)).status).toBe(400)
  })
})

describe('RFC 8628 §3.3: the address where a device login continues', () => {
  test.each(['/device/abc', '/device/%ff'])(
    'is an error of the request for someone who did not begin one: %s',
    async (path) => {
      const page = await createVisitor(postern.issuer).get(path)
      expect(page.status).toBeGreaterThanOrEqual(400)
      expect(page.status).toBeLessThan(500)
    },
  )
})

describe('Fetch §3.2: a null origin', () => {
  test('gets no access, although redirect URIs of native apps have that origin too', async () => {
    const client = await postern.createClient({
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['com.example.app:/cb'],
    })
    const answer = await fetch(`${postern.issuer}/oauth/token`, {
      method: 'POST',
      headers: { origin: 'null', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x', client_id: client.client_id }),
    })
    expect(answer.headers.get('access-control-allow-origin')).not.toBe('null')
  })
})

/** Sends text exactly as given, and returns the status of each answer until the connection ends. */
async function statusesOf(text: string): Promise<number[]> {
  const socket = connect(postern.config.PORT, 'localhost')
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk
  })
  socket.on('error', () => {}) // a connection that is reset has ended too
  socket.end(text)
  await once(socket, 'close')
  return [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

const isServing = async () => (await send(postern, '/health/live')).status === 200

describe('RFC 9112 §11.2: a request that two servers may end at different places', () => {
  const hidden = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const of = (...lines: string[]) =>
    `POST /oauth/token HTTP/1.1\r\nHost: localhost:${postern.config.PORT}\r\n${lines.join('\r\n')}\r\n\r\n`
  const named = (...hosts: string[]) => `GET /oauth/jwks HTTP/1.1\r\n${hosts.join('\r\n')}\r\nConnection: close\r\n\r\n`
  const hostHere = () => `Host: localhost:${postern.config.PORT}`
  const chunked = 'Transfer-Encoding: chunked'
  const length = `Content-Length: ${hidden.length}`

  test.each<[string, () => string]>([
    ['a length and chunks', () => of(length, chunked)],
    ['chunks and a length', () => of(chunked, length)],
    ['two lengths', () => of('Content-Length: 0', length)],
    ['a list of lengths', () => of(`Content-Length: 0, ${hidden.length}`)],
    ['a length with a sign', () => of('Content-Length: +5')],
    ['chunks that are not the last coding', () => of('Transfer-Encoding: chunked, identity')],
    ['a coding like chunks', () => of('Transfer-Encoding: xchunked')],
    ['a space before the colon', () => of('Transfer-Encoding : chunked')],
    ['a line that continues on the next', () => of('X-A: b', ' Transfer-Encoding: chunked')],
    ['a line that ends without a carriage return', () => of(`X-A: b\n${chunked}`)],
    ['a chunk whose length is not a number', () => `${of(chunked)}0x1\r\na\r\n0\r\n\r\n`],
  ])('is rejected with everything after it: %s', async (_what, text) => {
    expect(await statusesOf(text() + hidden)).toEqual([400])
    expect(await isServing()).toBe(true)
  })

  test.each<[string, () => string, number]>([
    ['two Host headers, ours first', () => named(hostHere(), 'Host: evil.example'), 400],
    ['two Host headers, ours last', () => named('Host: evil.example', hostHere()), 400],
    ['our Host header twice', () => named(hostHere(), hostHere()), 400],
    ['no Host header', () => 'GET / HTTP/1.1\r\n\r\n', 400],
    [
      'another host in an absolute address',
      () => 'GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n',
      421,
    ],
  ])('is rejected with %s', async (_what, text, status) => {
    expect((await statusesOf(text()))[0]).toBe(status)
  })

  test('is rejected with more headers than anyone sends, and the server keeps working', async () => {
    const many = Array.from({ length: 3_000 }, (_, n) => `X-${n}: a`)
    expect([[], [431]]).toContainEqual(await statusesOf(of(...many))) // it may be reset while still sending
    expect(await isServing()).toBe(true)
  })
})

describe('RFC 9110 §15.5.14: a body that is too large', () => {
  test.each(['/oauth/token', '/oauth/par', '/oauth/introspect', '/oauth/revoke', '/oauth/device_authorization'])(
    'is not read to its end at %s',
    async (path) => {
      const form = { client_id: 'nobody', token: 'a'.repeat(3_000_000) }
      expect(await send(postern, path, { form })).toMatchObject({
        status: 400,
        json: { error: 'invalid_request', error_description: 'failed to parse the request body' },
      })
      expect(await isServing()).toBe(true)
    },
  )
})

describe('RFC 9110 §8.4: a body that expands greatly', () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000, 'a'))

  test.each(['/oauth/token', '/oauth/register', '/oauth/par', '/interaction/x/sign-in'])(
    'is rejected at %s, whatever it expands to',
    async (path) => {
      const response = await fetch(postern.issuer + path, {
        method: 'POST',
        headers: {
          'content-type': path === '/oauth/register' ? 'application/json' : 'application/x-www-form-urlencoded',
          'content-encoding': 'gzip',
        },
        body: bomb,
      })
      expect(response.status).toBeGreaterThanOrEqual(400)
      expect(response.status).toBeLessThan(500)
      expect(await isServing()).toBe(true)
    },
  )
})

describe('RFC 8725 §3.11: a token that is expensive to check', () => {
  const part = (value: unknown) => base64url.encode(JSON.stringify(value))
  const long = base64url.encode(Buffer.alloc(4_096, 0xff)) // a modulus of 32,768 bits
  const rsa = { kty: 'RSA', n: long, e: long }
  const derived = { alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 1_000_000_000, p2s: 'AAAA' }
  const expensive: [string, string][] = [
    ['with a thousand million rounds of key derivation', `${part(derived)}.AAAA.AAAA.AAAA.AAAA`],
    ['that is compressed', `${part({ alg: 'dir', enc: 'A128GCM', zip: 'DEF' })}..AAAA.AAAA.AAAA`],
    ['signed with a key of 32,768 bits', `${part({ alg: 'RS256', typ: 'dpop+jwt', jwk: rsa })}.${part({})}.${long}`],
    ['made only of brackets', `${base64url.encode('['.repeat(5_000))}.${part({})}.AAAA`],
  ]
  const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
  const form = { grant_type: 'client_credentials' }
  const places: [string, (token: string) => ReturnType<typeof send>][] = [
    [
      'a client assertion',
      (client_assertion) =>
        send(postern, '/oauth/token', { form: { ...form, client_assertion_type, client_assertion } }),
    ],
    ['a DPoP proof', (dpop) => send(postern, '/oauth/token', { form, headers: { dpop } })],
    ['a request object', (request) => send(postern, '/oauth/par', { form: { client_id: 'nobody', request } })],
  ]

  test.each(expensive)('is not accepted as a hint to sign out: %s', async (_what, hint) => {
    const { status, headers } = await send(postern, `/oauth/logout?id_token_hint=${hint}`, {
      headers: { accept: 'text/html' },
    })
    expect([
      [303, '/oauth/logout/success?returned=no'],
      [431, null], // it is longer than a head may be
    ]).toContainEqual([status, headers.get('location')])
  })

  test.each(places.flatMap(([place, ask]) => expensive.map(([what, token]) => [place, what, token, ask] as const)))(
    'is rejected as %s: %s',
    async (_place, _what, token, ask) => {
      const { status } = await ask(token)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
    },
  )
})

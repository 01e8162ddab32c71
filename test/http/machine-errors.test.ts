import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { addresses } from '../../src/oidc/endpoints.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { type DatabaseProxy, startProxy } from '../faults/proxy.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { type Answer, basic, knock } from '../support/wire.ts'

type Request = { method: string; path: string; headers?: Record<string, string>; body?: string }

/** Default values of client libraries for what they accept, which a server must not take literally. */
const accepts = [
  undefined,
  '*/*', // curl, Go, Node.js, Python
  'text/html, image/gif, image/jpeg, */*; q=0.2', // Java's HttpURLConnection
  'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2', // Java before 21
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8', // browsers
  'text/html',
  'text/*',
  'application/xml',
  'application/json', // .NET's helpers
  'application/json, text/plain, */*', // axios
  'application/json;q=0.1, text/html',
  'application/xrds+xml, text/plain; q=0.5', // PHP and Perl libraries that go back to OpenID 2.0
  'image/webp',
  '',
]

const form = { 'content-type': 'application/x-www-form-urlencoded' }
let proxy: DatabaseProxy
let postern: TestPostern
let confidential: ClientMetadata
let app: ClientMetadata

beforeAll(async () => {
  proxy = await startProxy(inject('postgresUrl'))
  postern = await startPostern(
    {
      OPEN_REGISTRATION: 'true',
      OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR: '1',
      KEPT_KILOBYTES_PER_NETWORK_PER_HOUR: '100',
    },
    { databaseUrl: proxy.urlOf },
  )
  confidential = await postern.createClient()
  app = await postern.createClient({
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
  })
})
afterAll(async () => {
  proxy?.accept()
  await postern?.stop()
  await proxy?.close()
})

const byClient = () => ({
  ...form,
  authorization: basic(confidential.client_id, String(confidential['client_secret'])),
})
const wrong = { ...form, authorization: basic('nobody', 'wrong') }
const machines = addresses.filter(({ errors }) => errors === 'json').map(({ path }) => path.replace(':client_id', 'x'))
const posted = ['token', 'par', 'device_authorization', 'introspect', 'revoke'].map((name) => `/oauth/${name}`)
const at = (paths: string[], rest: Omit<Request, 'path'>) => paths.map((path): Request => ({ path, ...rest }))

/** The requests that fail with a status. Each is sent with every `Accept`. */
const failing: Record<string, () => Request[]> = {
  400: () => [
    ...at(posted, { method: 'POST', headers: byClient(), body: 'x=1' }).filter(({ path }) => path !== '/oauth/par'),
    ...at(['/oauth/par'], { method: 'POST', headers: byClient(), body: 'redirect_uri=https://evil.example' }),
    ...at(['/oauth/token'], {
      method: 'POST',
      headers: byClient(),
      body: 'grant_type=refresh_token&refresh_token=wrong',
    }),
    ...at(['/oauth/userinfo'], {
      method: 'POST',
      headers: { ...form, authorization: 'Bearer x' },
      body: 'access_token=x',
    }),
  ],
  401: () => [
    ...at(posted, { method: 'POST', headers: wrong, body: 'token=x&grant_type=client_credentials' }),
    ...at(['/oauth/userinfo'], { method: 'GET', headers: { authorization: 'Bearer wrong' } }),
    ...at(['/oauth/register'], { method: 'POST', headers: { authorization: 'Bearer wrong' } }),
    ...['GET', 'PUT', 'DELETE'].flatMap((method) =>
      at(['/oauth/register/x'], { method, headers: { authorization: 'Bearer wrong' } }),
    ),
  ],
  404: () =>
    at(
      machines.map((path) => `${path}/below/x`),
      { method: 'GET' },
    ),
  405: () => at(machines, { method: 'PATCH' }),
  // The engine reads a body before it checks it, and reports these two as a bad request.
  'too large': () =>
    at([...posted, '/oauth/userinfo'], { method: 'POST', headers: byClient(), body: `x=${'x'.repeat(60_000)}` }),
  'wrong type': () =>
    at([...posted, '/oauth/userinfo'], {
      method: 'POST',
      headers: { ...byClient(), 'content-type': 'text/csv' },
      body: 'x',
    }),
  421: () =>
    at(
      machines.filter((path) => !path.startsWith('/health/')),
      { method: 'GET', headers: { host: 'evil.example' } },
    ),
  429: () => [
    ...at(['/oauth/device_authorization'], {
      method: 'POST',
      headers: form,
      body: `client_id=${app.client_id}&scope=openid`,
    }),
    ...at(['/oauth/par'], {
      method: 'POST',
      headers: form,
      body: new URLSearchParams({
        client_id: app.client_id,
        response_type: 'code',
        redirect_uri: 'https://rp.example/cb',
        scope: 'openid',
        code_challenge: 'x'.repeat(43),
        code_challenge_method: 'S256',
      }).toString(),
    }),
    ...at(['/oauth/register'], { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
  ],
  503: () => [
    ...at(['/oauth/token'], {
      method: 'POST',
      headers: byClient(),
      body: 'grant_type=refresh_token&refresh_token=unknown',
    }),
    ...at(['/oauth/introspect', '/oauth/revoke'], { method: 'POST', headers: byClient(), body: 'token=unknown' }),
    ...at(['/oauth/userinfo'], { method: 'GET', headers: { authorization: 'Bearer unknown' } }),
    ...at(['/oauth/register/x'], { method: 'GET', headers: { authorization: 'Bearer unknown' } }),
  ],
}

const statusesOf: Record<string, number[]> = { 'too large': [400, 413], 'wrong type': [400, 415] }

async function send({ method, path, headers = {}, body }: Request, accept: string | undefined): Promise<Answer> {
  const { host, port } = new URL(postern.issuer)
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  return knock(Number(port), path, {
    method,
    headers: { host, ...length, ...headers, ...(accept !== undefined && { accept }) },
    ...(body !== undefined && { body }),
  })
}

let combinations = 0

describe('RFC 6749 §5.2, 7009 §2.2.1, 7591 §3.2.2, 7662 §2.3, 8628 §3.2, 9126 §2.3: a program', () => {
  test.each(Object.keys(failing))(
    'gets its error as JSON, whatever it accepts, when its request fails with %s',
    async (name) => {
      if (name === '429') {
        const requests = failing['429']?.() ?? []
        for (let n = 0; n < 100; n++) await Promise.all(requests.map((request) => send(request, '*/*')))
      }
      if (name === '503') proxy.refuse()
      for (const request of failing[name]?.() ?? []) {
        for (const accept of accepts) {
          const { status, headers, json } = await send(request, accept)
          const what = [request.method, request.path, accept]
          expect([...what, statusesOf[name]?.includes(status) ? name : String(status)]).toEqual([...what, name])
          expect([...what, headers.get('content-type')]).toEqual([...what, 'application/json; charset=utf-8'])
          expect([...what, typeof json['error']]).toEqual([...what, 'string'])
          combinations += 1
        }
      }
      if (name === '503') proxy.accept()
    },
  )

  test('gets one in more than a thousand combinations of an endpoint, a failure and an Accept header', () => {
    expect(combinations).toBeGreaterThan(1_000)
  })
})

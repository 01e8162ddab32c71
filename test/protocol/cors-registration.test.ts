import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createToken, redirect_uris, registered } from '../support/registration.ts'
import { type Answer, type Sent, send } from '../support/wire.ts'

const origins = ['https://inspector.example', 'http://localhost:6274', 'https://evil.example', 'null']
let open: TestPostern
let closed: TestPostern

beforeAll(async () => {
  ;[open, closed] = await Promise.all([
    startPostern({ OPEN_REGISTRATION: 'true', OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR: '10' }),
    startPostern(),
  ])
})
afterAll(() => Promise.all([open?.stop(), closed?.stop()]))

/** Sends a request as a page of another origin does: after a preflight, and only with a readable answer (Fetch §4.8). */
async function fromPage(
  postern: TestPostern,
  origin: string,
  path: string,
  request: Sent,
): Promise<Answer | undefined> {
  const method = request.method ?? 'POST'
  const named = [request.bearer && 'authorization', request.body && 'content-type'].filter(Boolean).join(',')
  const preflight = await send(postern, path, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': named },
  })
  const allowed = (name: string) =>
    (preflight.headers.get(`access-control-allow-${name}`) ?? '').toLowerCase().split(/,\s*/)
  const isAllowed =
    preflight.status < 300 &&
    allowed('origin').includes(origin.toLowerCase()) &&
    (method === 'POST' || allowed('methods').includes(method.toLowerCase())) &&
    named.split(',').every((name) => name === '' || allowed('headers').includes(name))
  if (!isAllowed) return undefined
  const answer = await send(postern, path, { ...request, method, headers: { origin } })
  expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
  expect(answer.headers.get('vary')).toContain('Origin')
  return answer.headers.get('access-control-allow-origin') === origin ? answer : undefined
}

describe('Fetch §3.2 (CORS), RFC 7591 §3: open registration', () => {
  test.each(origins)(
    'from %s is possible, as is the management of the registered client (RFC 7592 §2)',
    async (origin) => {
      const body = { redirect_uris, client_name: 'In a page' }
      const made = await fromPage(open, origin, '/oauth/register', { body })
      expect(made?.status).toBe(201)
      const { client_id, registration_access_token, registration_client_uri } = (made?.json ?? {}) as Record<
        string,
        string
      >
      const path = new URL(String(registration_client_uri)).pathname
      const bearer = String(registration_access_token)
      expect((await fromPage(open, origin, path, { method: 'GET', bearer }))?.json['client_id']).toBe(client_id)
      const changed = await fromPage(open, origin, path, { method: 'PUT', bearer, body: { ...body, client_id } })
      expect(changed?.status).toBe(200)
      const renewed = String(changed?.json['registration_access_token'] ?? bearer)
      expect((await fromPage(open, origin, path, { method: 'DELETE', bearer: renewed }))?.status).toBe(204)
    },
  )

  test('returns a readable error, with a time to retry', async () => {
    const [origin = ''] = origins
    const ask = (body: object) => fromPage(open, origin, '/oauth/register', { body })
    expect((await ask({ redirect_uris: ['nonsense'] }))?.json['error']).toBe('invalid_redirect_uri')
    let answer: Answer | undefined
    for (let n = 0; n < 12 && answer?.status !== 429; n++) answer = await ask({ redirect_uris })
    expect(answer?.status).toBe(429)
    expect(answer?.headers.get('access-control-expose-headers')).toContain('Retry-After')
    const management = await fromPage(open, origin, '/oauth/register/nobody', { method: 'GET', bearer: 'wrong' })
    expect([management?.status, management?.json['error']]).toEqual([401, 'invalid_token'])
  })

  test('is closed to pages if it is off, but management is not', async () => {
    const [origin = ''] = origins
    const bearer = await createToken(closed, { uses: 2 })
    expect(await fromPage(closed, origin, '/oauth/register', { body: { redirect_uris } })).toBeUndefined()
    expect(await fromPage(closed, origin, '/oauth/register', { bearer, body: { redirect_uris } })).toBeUndefined()
    const answer = await send(closed, '/oauth/register', { body: { redirect_uris }, headers: { origin } })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([401, null])

    const client = await registered(closed, bearer)
    const path = new URL(client.registration_client_uri).pathname
    const read = await fromPage(closed, origin, path, { method: 'GET', bearer: client.registration_access_token })
    expect(read?.json['client_id']).toBe(client.client_id)
  })

  test('allows no method without a handler', async () => {
    const [origin = ''] = origins
    expect(await fromPage(open, origin, '/oauth/register', { method: 'PATCH', body: {} })).toBeUndefined()
  })
})

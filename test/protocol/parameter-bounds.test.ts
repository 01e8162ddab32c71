import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assertBounded, parameterBounds } from '../../src/oidc/parameters/bounds.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { type Answer, createKey, send } from '../support/wire.ts'

type Name = keyof typeof parameterBounds
type Values = Record<string, string>

const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbvhwGZSjQkE'
const api = 'https://api.example/v1'
let postern: TestPostern
let client: ClientMetadata
let key: CryptoKey

beforeAll(async () => {
  const made = await createKey()
  key = made.key
  postern = await startPostern()
  await postern.createResource({ identifier: api })
  client = await postern.createClient({
    client_id: 'app',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
    request_object_signing_alg: 'ES256',
    jwks: made.jwks,
  })
})
afterAll(() => postern?.stop())

const text = (bytes: number) => 'a'.repeat(bytes)
function claims(bytes: number): string {
  const empty = JSON.stringify({ id_token: { email: { value: '' } } }).length
  return JSON.stringify({ id_token: { email: { value: text(bytes - empty) } } })
}

// Parameters that the engine leaves to us, each with a function that makes an accepted value of any length.
const free: Partial<Record<Name, (bytes: number) => string>> = {
  acr_values: text,
  claims,
  claims_locales: text,
  display: text,
  idp_hint: text,
  login_hint: text,
  nonce: text,
  scope: (bytes) => `openid ${text(bytes - 7)}`,
  state: text,
  ui_locales: text,
}
// Parameters that the engine accepts only if registered or well-formed: a longer value is never stored.
const narrower: Partial<Record<Name, (bytes: number) => string>> = {
  client_id: text,
  code_challenge: text,
  code_challenge_method: text,
  id_token_hint: text,
  max_age: (bytes) => '1'.repeat(bytes),
  prompt: (bytes) => `login ${text(bytes - 6)}`,
  redirect_uri: (bytes) => `https://rp.example/cb?${text(bytes - 22)}`,
  registration: text,
  request: text,
  request_uri: text,
  response_mode: text,
  response_type: text,
}
const elsewhere: Name[] = ['resource', 'dpop_jkt'] // these have their own tests below

const request = (more: Values) => ({
  client_id: client.client_id,
  response_type: 'code',
  redirect_uri: 'https://rp.example/cb',
  scope: 'openid',
  code_challenge: challenge,
  code_challenge_method: 'S256',
  ...more,
})
const signed = async ({ claims: asked, ...parameters }: Values) =>
  new SignJWT({ ...parameters, ...(asked !== undefined && { claims: JSON.parse(asked) }) })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .setIssuer(client.client_id)
    .setAudience(postern.issuer)
    .setExpirationTime('1m')
    .sign(key)

/** Every endpoint that takes parameters, and the parameters that it does not read. */
const endpoints: [string, (parameters: Values) => Promise<Answer>, Name[]][] = [
  ['GET /oauth/authorize', (more) => send(postern, `/oauth/authorize?${new URLSearchParams(request(more))}`), []],
  [
    'a request object at /oauth/authorize',
    async (more) =>
      send(
        postern,
        `/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, scope: 'openid', request: await signed(request(more)) })}`,
      ),
    ['scope'], // only known scopes are stored
  ],
  ['/oauth/par', (more) => send(postern, '/oauth/par', { form: request(more) }), []],
  [
    'a request object at /oauth/par',
    async (more) =>
      send(postern, '/oauth/par', { form: { client_id: client.client_id, request: await signed(request(more)) } }),
    ['scope'],
  ],
  [
    '/oauth/device_authorization',
    (more) =>
      send(postern, '/oauth/device_authorization', { form: { client_id: client.client_id, scope: 'openid', ...more } }),
    ['state', 'redirect_uri', 'response_type', 'response_mode', 'code_challenge', 'code_challenge_method', 'prompt'],
  ],
]
const cases = (names: Partial<Record<Name, unknown>>) =>
  endpoints.flatMap(([endpoint, ask, unread]) =>
    (Object.keys(names) as Name[])
      .filter((name) => !unread.includes(name))
      .map((name): [Name, string, typeof ask] => [name, endpoint, ask]),
  )

/** Returns the error of an answer, from its body or from the redirect to the client. */
function errorOf({ json, headers, text: body }: Answer): { error?: string | undefined; description: string } {
  const location = headers.get('location')
  const answered = location?.startsWith('https://rp.example/') ? new URL(location).searchParams : undefined
  const field = (name: string) => answered?.get(name) ?? (json[name] as string | undefined)
  return {
    error: field('error') ?? (body.includes('<h1>') ? 'page' : undefined),
    description: field('error_description') ?? body,
  }
}

async function rows(): Promise<number> {
  const [row] = await postern.database.query(
    'select (select count(*) from artifacts)::int + (select count(*) from sessions)::int as n',
  )
  return Number(row?.['n'])
}

describe('values that are copied from a request into a row have a maximum length:', () => {
  test('the table has one for every parameter of an authorization request', async () => {
    const known = [...Object.keys(free), ...Object.keys(narrower), ...elsewhere].sort()
    expect(Object.keys(parameterBounds).sort()).toEqual(known)
  })

  test('a parameter that the table does not name may have 512 bytes', () => {
    expect(() => assertBounded({ binding_message: 'x'.repeat(512) })).not.toThrow()
    expect(() => assertBounded({ binding_message: 'x'.repeat(513) })).toThrow('invalid_request')
  })

  test.each(cases(free))(
    '%s at %s is rejected by name when it is one byte too long, and leaves no row',
    async (name, _at, ask) => {
      const most = parameterBounds[name]
      const before = await rows()
      const { error, description } = errorOf(await ask({ [name]: String(free[name]?.(most + 1)) }))
      expect({ error, description }).toEqual({
        error: 'invalid_request',
        description: `${name} is too long: it may have at most ${most} bytes`,
      })
      expect(await rows()).toBe(before)
    },
  )

  test.each(cases(free))('%s at %s is accepted at its maximum length', async (name, _at, ask) => {
    const answer = await ask({ [name]: String(free[name]?.(parameterBounds[name])) })
    expect(answer.status, answer.text).toBeLessThan(400)
    expect(errorOf(answer).error).toBeUndefined()
  })

  test.each(cases(narrower))('%s at %s leaves no row when it is too long', async (name, _at, ask) => {
    const before = await rows()
    const answer = await ask({ [name]: String(narrower[name]?.(parameterBounds[name] + 1)) })
    expect(errorOf(answer).error ?? (answer.status >= 400 ? 'refused' : undefined), answer.text).toBeDefined()
    expect(await rows()).toBe(before)
  })

  test('resource counts with all its values together (RFC 8707 §2)', async () => {
    const most = parameterBounds.resource
    const push = (times: number) => {
      const form = { ...request({}), resource: Array.from({ length: times }, () => api) }
      return send(postern, '/oauth/par', { form })
    }
    expect((await push(Math.floor(most / api.length))).status).toBe(201)
    const refused = await push(Math.floor(most / api.length) + 1)
    expect(errorOf(refused).description).toBe(`resource is too long: it may have at most ${most} bytes`)
  })

  test('dpop_jkt counts in an authorization request without a proof too (RFC 9449 §10)', async () => {
    const most = parameterBounds.dpop_jkt
    const ask = (bytes: number) => endpoints[0]?.[1]({ dpop_jkt: text(bytes) }) as Promise<Answer>
    expect(errorOf(await ask(most + 1)).description).toContain(`dpop_jkt is too long`)
    expect((await ask(most)).headers.get('location')).toContain('/interaction/')
  })

  test('a pushed request object counts in full, since all of it is stored (RFC 9126 §3)', async () => {
    const push = async (bytes: number) =>
      send(postern, '/oauth/par', {
        form: { client_id: client.client_id, request: await signed(request({ unknown: text(bytes) })) },
      })
    expect((await push(8_000)).status).toBe(201)
    expect(errorOf(await push(parameterBounds.request)).description).toMatch(/^request is too long/)
  })

  test('state counts at the end of a session too', async () => {
    const most = parameterBounds.state
    const end = (bytes: number) => send(postern, `/oauth/logout?client_id=app&state=${text(bytes)}`)
    const before = await rows()
    const leadsTo = async (bytes: number) => (await end(bytes)).headers.get('location')
    expect(await leadsTo(most + 1)).toBe('/oauth/logout/success?client_id=app&returned=no')
    expect(await leadsTo(most)).toBe('/oauth/logout/success?client_id=app')
    expect(await rows()).toBe(before)
  })

  test('the name of a device is cut to its maximum length', async () => {
    const form = { client_id: client.client_id, scope: 'openid' }
    const headers = { 'user-agent': `Kettle ${text(12_000)}` }
    expect((await send(postern, '/oauth/device_authorization', { form, headers })).status).toBe(200)
    const [row] = await postern.database.query(
      `select payload->'deviceInfo'->>'ua' as ua from artifacts where model = 'DeviceCode' order by created_at desc limit 1`,
    )
    expect(row?.['ua']).toBe(`Kettle ${text(249)}`)
  })
})

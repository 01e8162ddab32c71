import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errors } from 'oidc-provider'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reasonOf } from '../../src/oidc/reasons/reasons.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startHttpsPostern } from '../support/https-postern.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, completeLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { age, send } from '../support/wire.ts'

const email = 'ada@example.com'
const callback = 'https://rp.example/cb'

let postern: TestPostern
let client: ClientMetadata
let other: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  const grants = ['authorization_code', 'refresh_token', 'client_credentials']
  client = await postern.createClient({
    client_name: 'Notes',
    grant_types: grants,
    scope: 'openid email offline_access',
  })
  other = await postern.createClient({ client_name: 'Other' })
})
afterAll(() => postern.stop())

type Line = Record<string, unknown>

/** Returns the log line of the request that was answered with this ID. */
async function lineOf(requestId: string | null): Promise<Line> {
  await expect
    .poll(() => postern.logged.some((line) => line.includes(`"${requestId}"`) && line.includes('"request"')))
    .toBe(true)
  const lines = postern.logged.map((line) => JSON.parse(line) as Line)
  const own = lines.filter((line) => line['requestId'] === requestId && line['msg'] === 'request')
  expect(own).toHaveLength(1)
  return own[0] ?? {}
}

async function codeOf(asking = client, parameters = {}): Promise<{ code: string; verifier: string }> {
  const config = await discover(postern, asking)
  const begun = await beginLogin(config, { issuer: postern.issuer, ...parameters })
  const url = await completeLogin(begun, email)
  return { code: String(url.searchParams.get('code')), verifier: begun.verifier }
}

const token = (form: Record<string, string>, from: ClientMetadata = client) =>
  send(postern, '/oauth/token', { client: from, form })

const redeem = ({ code, verifier }: { code: string; verifier: string }, differing = {}, from = client) =>
  token({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: callback, ...differing }, from)

const authorize = (parameters: Record<string, string>) =>
  send(postern, `/oauth/authorize?${new URLSearchParams(parameters)}`)

type Case = [name: string, ask: () => Promise<{ headers: Headers; text?: string }>, line: Line]

const cases: Case[] = [
  [
    'an unknown code',
    () => redeem({ code: 'made-up', verifier: 'v'.repeat(43) }),
    { error: 'invalid_grant', reason: expect.stringContaining('authorization code is not known') },
  ],
  [
    'a code that was used',
    async () => {
      const code = await codeOf()
      await redeem(code)
      return await redeem(code)
    },
    { error: 'invalid_grant', reason: expect.stringMatching(/^the authorization code was used \d+ s ago$/) },
  ],
  [
    'a code that expired',
    async () => {
      const code = await codeOf()
      await age(postern, 'AuthorizationCode', 70)
      return await redeem(code)
    },
    { error: 'invalid_grant', reason: expect.stringMatching(/^the authorization code expired \d+ s ago$/) },
  ],
  [
    'the code of another client',
    async () => redeem(await codeOf(other), {}),
    {
      error: 'invalid_grant',
      reason: 'the authorization code was issued to another client',
      get expected() {
        return other.client_id
      },
      get received() {
        return client.client_id
      },
    },
  ],
  [
    'another code_verifier',
    async () => redeem(await codeOf(), { code_verifier: 'x'.repeat(43) }),
    { error: 'invalid_grant', reason: 'code_verifier does not match code_challenge', parameter: 'code_verifier' },
  ],
  [
    'no code_verifier',
    async () => {
      const { code } = await codeOf()
      return token({ grant_type: 'authorization_code', code, redirect_uri: callback })
    },
    { error: 'invalid_grant', reason: 'code_verifier must be provided', parameter: 'code_verifier' },
  ],
  [
    'another redirect_uri than the request had',
    async () => redeem(await codeOf(), { redirect_uri: `${callback}/?secret=1` }),
    {
      reason: expect.stringContaining('redirect_uri is not that of the authorization request'),
      expected: callback,
      received: `${callback}/?secret=…`,
    },
  ],
  [
    'a wrong secret',
    () => token({ grant_type: 'client_credentials' }, { ...client, client_secret: 'wrong' }),
    { error: 'invalid_client', reason: 'the client secret does not match' },
  ],
  [
    'a secret from before the last rotation',
    async () => {
      const made = await postern.createClient({ client_name: 'Rotated' })
      await operate(postern, 'client rotate-secret', { client_id: made.client_id, overlap_seconds: 0 })
      return token({ grant_type: 'refresh_token', refresh_token: 'x' }, made)
    },
    {
      reason: expect.stringMatching(/^the client secret does not match; it was replaced \d+ s ago/),
      clientName: 'Rotated',
    },
  ],
  [
    'a client that does not exist',
    () => token({ grant_type: 'client_credentials' }, { client_id: 'nobody', client_secret: 'x' }),
    { error: 'invalid_client', reason: 'there is no client with this id', received: 'nobody' },
  ],
  [
    'a client that was disabled',
    async () => {
      const made = await postern.createClient({})
      await operate(postern, 'client disable', { client_id: made.client_id })
      return token({ grant_type: 'client_credentials' }, made)
    },
    { error: 'invalid_client', reason: expect.stringMatching(/^the client was disabled \d+ s ago$/) },
  ],
  [
    'another way to authenticate',
    () =>
      send(postern, '/oauth/token', {
        form: { grant_type: 'client_credentials', client_id: client.client_id },
      }),
    { parameter: 'token_endpoint_auth_method', expected: 'client_secret_basic', received: 'none' },
  ],
  [
    'a grant type that the client is not registered for',
    () => token({ grant_type: 'client_credentials' }, other),
    { parameter: 'grant_type', expected: 'authorization_code refresh_token', received: 'client_credentials' },
  ],
  [
    'a redirect URI that is not registered',
    () => authorize({ client_id: client.client_id, redirect_uri: 'https://rp.example:5001/cb', response_type: 'code' }),
    {
      error: 'invalid_redirect_uri',
      reason: 'redirect_uri is not registered: the port differs',
      expected: callback,
      received: 'https://rp.example:5001/cb',
    },
  ],
  [
    'a request without PKCE, whose error goes to the app',
    () => authorize({ client_id: client.client_id, redirect_uri: callback, response_type: 'code', scope: 'openid' }),
    { status: 303, error: 'invalid_request', reason: expect.stringContaining('has to use PKCE') },
  ],
  [
    'a scope that the client is not registered for',
    async () => {
      const config = await discover(postern, client)
      const { page } = await beginLogin(config, { issuer: postern.issuer, scope: 'openid profile phone' })
      return page
    },
    { status: 303, error: 'invalid_scope', received: 'openid profile phone', expected: 'openid email offline_access' },
  ],
  [
    'an unknown access token',
    () => send(postern, '/oauth/userinfo', { bearer: 'made-up' }),
    { error: 'invalid_token', reason: expect.stringContaining('access token is not known') },
  ],
  [
    'an access token of an account that was disabled',
    async () => {
      const gone = await postern.createAccount('gone@example.com')
      const { tokens } = await login(postern, client, { email: 'gone@example.com' })
      await operate(postern, 'account disable', { account: gone.id })
      return send(postern, '/oauth/userinfo', { bearer: tokens.access_token })
    },
    {
      error: 'invalid_token',
      reason: expect.stringContaining('perhaps with its account or client'),
    },
  ],
  [
    'a refresh token that was used',
    async () => {
      const { tokens } = await login(postern, client, { email, scope: 'openid offline_access' })
      const form = { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) }
      await token(form)
      return token(form)
    },
    { error: 'invalid_grant', reason: expect.stringMatching(/^the refresh token was used \d+ s ago$/) },
  ],
  [
    'an unregistered address to return to after sign-out',
    () =>
      send(
        postern,
        `/oauth/logout?${new URLSearchParams({ client_id: client.client_id, post_logout_redirect_uri: 'https://x.example/' })}`,
      ),
    { reason: expect.stringContaining('post_logout_redirect_uri'), received: 'https://x.example/' },
  ],
  [
    'an unknown user code',
    async () => {
      const visitor = createVisitor(postern.issuer)
      const page = await visitor.get('/device')
      return visitor.submit(page, '/device', { user_code: 'BBBB-BBBB' })
    },
    { path: '/device', reason: expect.stringContaining('code') },
  ],
  [
    'a registration without a token',
    () => send(postern, '/oauth/register', { body: { redirect_uris: [callback] } }),
    { path: '/oauth/register', reason: expect.any(String) },
  ],
  [
    'an API that does not exist',
    async () => {
      const config = await discover(postern, client)
      const asked = { issuer: postern.issuer, resource: 'https://nowhere.example/' }
      const { page } = await beginLogin(config, asked)
      return page
    },
    { error: 'invalid_target', reason: 'unknown resource' },
  ],
  [
    'an introspection without a client',
    () => send(postern, '/oauth/introspect', { form: { token: 'x' } }),
    { path: '/oauth/introspect', reason: 'no client authentication mechanism provided' },
  ],
]

const seen = new Set<string>()

describe('the log line of a rejected request', () => {
  test.each(cases)('has the reason for %s', async (_name, ask, expected) => {
    const answer = await ask()
    const line = await lineOf(answer.headers.get('x-request-id'))
    seen.add(String(line['reason']))
    expect(line).toMatchObject({ error: expect.any(String), reason: expect.any(String), ...expected })
  })
})

test('docs/troubleshooting.md quotes the reasons word for word', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/troubleshooting.md'), 'utf8')
  const rows = [...text.matchAll(/^\| [^|]+ \| `([^`|]+)` \|/gm)].map(([, reason = '']) => reason)
  expect(rows.length).toBeGreaterThanOrEqual(20)
  const patterns = rows.map((row) => RegExp(`^${row.split('…').map(RegExp.escape).join('.+')}$`))
  const isSeen = (pattern: RegExp) => [...seen].some((reason) => pattern.test(reason))
  expect(rows.filter((_row, index) => !isSeen(patterns[index] ?? /^$/))).toEqual([])
})

describe('the error page of a rejected request', () => {
  const wrong = { redirect_uri: 'https://rp.example:5001/cb', response_type: 'code' }

  test('has the request ID, like the answer', async () => {
    for (const path of [
      '/nowhere',
      '/oauth/authorize?client_id=nobody',
      '/interaction/gone',
      '/oauth/authorize/gone',
    ]) {
      const answer = await send(postern, path, { headers: { accept: 'text/html' } })
      expect(answer.text).toContain(String(answer.headers.get('x-request-id')))
    }
  })

  test('shows a developer on their own machine both values and the command', async () => {
    const path = `/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, ...wrong })}`
    const { text } = await send(postern, path, { headers: { accept: 'text/html' } })
    expect(text).toContain('redirect_uri is not registered: the port differs')
    expect(text).toContain(`<code dir="ltr">${callback}</code>`)
    expect(text).toContain('<code dir="ltr">https://rp.example:5001/cb</code>')
    expect(text).toContain(`--redirect-uris ${callback} --redirect-uris https://rp.example:5001/cb</code>`)
  })

  test('reveals nothing about the registration anywhere else', async () => {
    const elsewhere = await startHttpsPostern()
    try {
      const registered = await elsewhere.createClient({})
      const path = `/oauth/authorize?${new URLSearchParams({ client_id: registered.client_id, ...wrong })}`
      const answer = await elsewhere.fetch(elsewhere.issuer + path, { headers: { accept: 'text/html' } })
      const text = await answer.text()
      expect([answer.status, text.includes('The app sent a request')]).toEqual([400, true])
      expect(text).not.toContain(callback)
      expect(text).not.toContain('postern client update')
    } finally {
      await elsewhere.stop()
    }
  })
})

test.each(Object.entries(errors).filter(([name]) => name !== 'OIDCProviderError'))(
  'a %s always has a reason, whatever it was created with',
  async (name, Made) => {
    const make = Made as new (...given: unknown[]) => Error
    const made =
      name === 'CustomOIDCProviderError'
        ? new make('custom', 'said so')
        : name === 'InvalidClientMetadata'
          ? new make('')
          : new make()
    const { error, reason } = await reasonOf(postern.server.postern.database.db, {
      error: made,
      refused: { req: { headers: {} } as never },
    })
    expect(error).toMatch(/^[a-z_]+$/)
    expect(reason).toMatch(/ /)
    expect(reason).not.toBe('the request cannot be accepted')
  },
)

describe('a value that a stranger sends', () => {
  const explained = (id: string) => () => operate(postern, 'request explain', { request_id: id }).catch(() => undefined)
  const refusedWith = async (uri: string) => {
    const answer = await authorize({ client_id: client.client_id, redirect_uri: uri, response_type: 'code' })
    return String(answer.headers.get('x-request-id'))
  }

  test('causes no server error if it is a header that cannot be decoded', async () => {
    const hint = ['{"alg":"none"}', '{"aud":"nobody"}', ''].map((part) => Buffer.from(part).toString('base64url'))
    const query = new URLSearchParams({ id_token_hint: hint.join('.') })
    const answer = await fetch(`${postern.issuer}/oauth/logout?${query}`, {
      headers: { authorization: `Basic ${Buffer.from('%zz:').toString('base64')}`, accept: 'application/json' },
      redirect: 'manual',
    })
    expect(answer.status).toBeLessThan(500)
  })

  test.each([
    ['half a character', `https://rp.example/${'a'.repeat(280)}\u{1f600}`],
    ['U+0000', 'https://rp.example/\0'],
  ])('does not prevent other rejections from being stored: %s', async (_name, uri) => {
    const ids = await Promise.all([refusedWith('https://rp.example/other'), refusedWith(uri)])
    const [id = ''] = ids
    await expect.poll(explained(id)).toMatchObject({ request_id: id })
  })

  test.each([
    'https://rp.example/cb?token=s3cret',
    'https://rp.example/cb#s3cret',
    'https://me:s3cret@rp.example/cb',
    'https:me:s3cret@rp.example/cb',
    'https:\\\\me:s3cret@rp.example/cb',
    'https://me:s3cret@rp example/cb',
  ])('appears nowhere if it may be a secret: %s', async (uri) => {
    const line = await lineOf(await refusedWith(uri))
    expect(line['reason']).toContain('redirect_uri')
    expect(JSON.stringify(line)).not.toContain('s3cret')
  })

  test('does not lengthen the reason for a client with many addresses', async () => {
    const many = Array.from({ length: 20 }, (_, index) => `https://rp.example/${index}/${'a'.repeat(500)}`)
    const { client_id: id } = await postern.createClient({ redirect_uris: many })
    const answer = await authorize({ client_id: id, redirect_uri: 'https://rp.example/b', response_type: 'code' })
    const line = await lineOf(answer.headers.get('x-request-id'))
    expect(JSON.stringify(line).length).toBeLessThan(4_000)
  })
})

describe('postern request explain', () => {
  test('states why a request was rejected', async () => {
    const answer = await authorize({
      client_id: client.client_id,
      redirect_uri: 'http://rp.example/cb',
      response_type: 'code',
    })
    const id = String(answer.headers.get('x-request-id'))
    const explain = () => operate(postern, 'request explain', { request_id: id }).catch(() => undefined)
    await expect.poll(explain).toMatchObject({
      request_id: id,
      client_name: 'Notes',
      status: 400,
      reason: 'redirect_uri is not registered: the scheme differs',
      expected: callback,
      received: 'http://rp.example/cb',
      remedy: `postern client update ${client.client_id} --redirect-uris ${callback} --redirect-uris http://rp.example/cb`,
    })
  })
})

import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { eventually } from '../support/eventually.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, login } from '../support/relying-party.ts'
import type { Visitor } from '../support/visitor.ts'
import { type Answer, answerOf, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
const scope = 'openid email offline_access'
const measured: { request: string; statements: number; budget: number }[] = []
let postern: TestPostern
let client: ClientMetadata
let machine: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
  machine = await postern.createClient({
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })
  await login(postern, client, { email, scope }) // makes both clients known, and opens connections
  await send(postern, '/oauth/token', { client: machine, form: { grant_type: 'client_credentials' } })
  // A known client is not used for longer than five seconds without a look for changes. With a clock that stands still,
  // it stays known after that look, however long the tests take.
  vi.useFakeTimers({ toFake: ['Date'] })
  postern.statementsOfServer.splice(0)
  const looks = () => postern.statementsOfServer.filter((sql) => sql.includes('"updated_at" >=')).length
  await eventually(() => expect(looks()).toBeGreaterThanOrEqual(2)) // the first may have begun before
})
afterAll(async () => {
  vi.useRealTimers()
  console.table(measured)
  await postern?.stop()
})

/** Runs work over HTTP, and asserts how many statements were sent to the database until it was answered. */
async function within<T>(budget: number, request: string, work: () => Promise<T>): Promise<T> {
  postern.statements.splice(0)
  const answer = await work()
  const sent = postern.statements.splice(0)
  measured.push({ request, statements: sent.length, budget })
  expect(sent.length, sent.join('\n\n')).toBeLessThanOrEqual(budget)
  return answer
}

const ask = (form: Record<string, string>, who = client) => send(postern, '/oauth/token', { client: who, form })
const introspect = (token: unknown) => send(postern, '/oauth/introspect', { client, form: { token: String(token) } })

async function askAgain(visitor: Visitor, parameters: Record<string, string> = {}): Promise<Record<string, string>> {
  const query = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid email',
    state: oidc.randomState(),
    code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
    code_challenge_method: 'S256',
    ...parameters,
  })
  return answerOf((await visitor.get(`/oauth/authorize?${query}`)).url)
}

function expectOk({ status, text }: Answer): void {
  expect(status, text).toBe(200)
}

describe('database statements', () => {
  test('are all counted, so that a count of zero means none', async () => {
    postern.statements.splice(0)
    await postern.server.postern.database.db
      .transaction()
      .execute((tx) => tx.selectFrom('clients').select('id').execute())
    expect(postern.statements.splice(0)).toHaveLength(3)
    expectOk(await ask({ grant_type: 'client_credentials' }, machine))
    expect(postern.statements.splice(0)).toHaveLength(1)
  })

  test('are not counted if the server sends them later, or on its own', async () => {
    postern.statements.splice(0)
    await send(postern, '/oauth/authorize?client_id=nobody')
    await eventually(() => expect(postern.statementsOfServer.join()).toContain('insert into "refused_requests"'))
    expect(postern.statements.join()).toContain('from "clients"')
    expect(postern.statements.join()).not.toContain('refused_requests')
  })

  test.each(['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', '/oauth/jwks'])(
    'are not needed for %s',
    async (path) => {
      expectOk(await within(0, path, () => send(postern, path)))
    },
  )

  test('are at most one for client_credentials of a known client (RFC 6749 §4.4)', async () => {
    expectOk(await within(1, 'client_credentials', () => ask({ grant_type: 'client_credentials' }, machine)))
  })

  test('are at most one for introspection of an opaque access or refresh token by a known client (RFC 7662)', async () => {
    const { tokens } = await login(postern, client, { email, scope })
    for (const name of ['access_token', 'refresh_token'] as const) {
      const { json } = await within(1, `introspection of ${name}`, () => introspect(tokens[name]))
      expect(json['active']).toBe(true)
    }
    const { json } = await within(1, 'introspection of an unknown token', () => introspect('A'.repeat(43)))
    expect(json['active']).toBe(false)
  })

  test('are at most one for userinfo (OpenID Connect Core §5.3)', async () => {
    const { tokens } = await login(postern, client, { email, scope })
    const answer = await within(1, 'userinfo', () => send(postern, '/oauth/userinfo', { bearer: tokens.access_token }))
    expect(answer.json['email']).toBe(email)
  })

  test.each(['openid', scope])(
    'are at most two for the exchange of a code for tokens with %s (RFC 6749 §4.1.3)',
    async (asked) => {
      const begun = await authorize(postern, client, { email, scope: asked })
      expectOk(await within(2, `code → tokens, ${asked}`, () => redeem(postern, begun, { client })))
    },
  )

  test('are at most two for each refresh with rotation (RFC 6749 §6)', async () => {
    let { refresh_token } = (await login(postern, client, { email, scope })).tokens
    for (const request of ['refresh with rotation', 'refresh with rotation, again']) {
      const form = { grant_type: 'refresh_token', refresh_token: String(refresh_token) }
      const answer = await within(2, request, () => ask(form))
      expect(answer.json['refresh_token']).not.toBe(refresh_token)
      refresh_token = String(answer.json['refresh_token'])
    }
  })

  test('are at most three for authorize with a live session and a remembered grant (OpenID Connect Core §3.1.2.3)', async () => {
    const { visitor } = await login(postern, client, { email, scope: 'openid email' })
    for (const prompt of [{}, { prompt: 'none' }]) {
      const request = `authorize, ${JSON.stringify(prompt)}`
      expect((await within(3, request, () => askAgain(visitor, prompt)))['code']).toBeTruthy()
    }
  })
})

import { SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover, visit } from '../../support/relying-party.ts'
import { tickboxes } from '../../support/visitor.ts'
import { answerOf, createKey, redeem, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const api = 'https://notes.example/'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const redirectUri = 'https://rp.example/cb'
let postern: TestPostern
let keys: Awaited<ReturnType<typeof createKey>>

beforeAll(async () => {
  postern = await startPostern()
  keys = await createKey()
  await postern.createAccount(email)
  await postern.createResource({
    identifier: api,
    name: 'Notes',
    scopes: { 'notes:read': 'Read', 'notes:write': 'Write' },
  })
})
afterAll(() => postern?.stop())

const createClient = (metadata: Record<string, unknown>) =>
  postern.createClient({
    grant_types: ['authorization_code', 'refresh_token', deviceGrant],
    jwks: keys.jwks,
    ...metadata,
  })

type Asked = Record<string, string>
type Outcome = { error: string | undefined; description?: string | undefined; at: string; verifier?: string }

/** The ways to send an authorization request, each with its outcome before any page is shown. */
const ways: Record<string, (client: ClientMetadata, asked: Asked) => Promise<Outcome>> = {
  async 'an authorization request'(client, asked) {
    const begun = await beginLogin(await discover(postern, client), { ...front, ...withoutScope, ...asked })
    return { ...outcomeAt(begun.page.url), verifier: begun.verifier }
  },
  async 'a request object'(client, asked) {
    const { client_id } = client
    const claims = { client_id, response_type: 'code', redirect_uri: redirectUri, ...(await challenge()), ...asked }
    const request = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(client_id)
      .setAudience(postern.issuer)
      .setExpirationTime('1m')
      .sign(keys.key)
    const query = new URLSearchParams({ client_id, response_type: 'code', redirect_uri: redirectUri, request })
    return outcomeAt((await visit(postern, `${postern.issuer}/oauth/authorize?${query}`)).page.url)
  },
  async 'a pushed authorization request'(client, asked) {
    const { client_id } = client
    const form = { client_id, response_type: 'code', redirect_uri: redirectUri, ...(await challenge()), ...asked }
    const { status, json } = await send(postern, '/oauth/par', { client, form })
    if (status !== 201)
      return { error: String(json['error']), description: String(json['error_description']), at: 'par' }
    const query = new URLSearchParams({ client_id, request_uri: String(json['request_uri']) })
    return outcomeAt((await visit(postern, `${postern.issuer}/oauth/authorize?${query}`)).page.url)
  },
  async 'a device authorization request'(client, asked) {
    const form = { client_id: client.client_id, ...asked }
    const { json } = await send(postern, '/oauth/device_authorization', { client, form })
    return { error: json['error'] as string, description: String(json['error_description']), at: 'device' }
  },
}

const front = { issuer: '', nonce: undefined }
const withoutScope = { scope: undefined }
const challenge = async () => ({
  code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
  code_challenge_method: 'S256',
})
function outcomeAt(url: string): Outcome {
  const { error, error_description: description } = answerOf(url)
  return { error, description, at: url }
}

beforeAll(() => {
  front.issuer = postern.issuer
})

const unknown = ['nope', 'nope neither', 'notes:read']
const cases = Object.keys(ways).flatMap((way) =>
  [undefined, 'openid email'].flatMap((scope) =>
    [undefined, '', ...unknown].map((asked) => [way, scope, asked] as const),
  ),
)

describe('RFC 6749 §3.3: a request without a scope, or with an unknown one', () => {
  test.each(cases)(
    '%s of a client registered for %j that asks for %j is never silently reduced',
    async (way, registered, asked) => {
      const client = await createClient({ ...(registered && { scope: registered }) })
      const outcome = await ways[way]?.(client, asked === undefined ? {} : { scope: asked })
      const hasDefault = registered !== undefined && !asked
      if (hasDefault) return expect(outcome?.error).toBeUndefined()
      // The error goes to the app, without a page before.
      expect(outcome?.at).not.toContain('/interaction/')
      expect(outcome?.error).toMatch(asked === 'notes:read' && !registered ? /^invalid_target$/ : /^invalid_scope$/)
      expect(outcome?.description).toMatch(/scope/)
    },
  )

  test('a request without scope asks the person for everything that the client is registered for, and the answer names it (§5.1)', async () => {
    const client = await createClient({ scope: 'openid email offline_access' })
    const begun = await beginLogin(await discover(postern, client), { ...front, ...withoutScope })
    const consent = await begun.visitor.signIn(begun.page, email)
    expect(tickboxes(consent.body).map(({ value }) => value)).toEqual(['openid', 'email', 'offline_access'])
    const callback = await completeLogin({ page: consent, visitor: begun.visitor }, email, ['openid', 'email'])
    const { json } = await redeem(postern, { callback, verifier: begun.verifier }, { client })
    expect(json).toMatchObject({ scope: 'openid email' })
  })

  test('resource limits the default: of API scopes, it includes only those of the named API', async () => {
    const client = await createClient({ scope: 'openid notes:read other:read' })
    const begun = await beginLogin(await discover(postern, client), { ...front, ...withoutScope, resource: api })
    const consent = await begun.visitor.signIn(begun.page, email)
    expect(tickboxes(consent.body).map(({ value }) => value)).toEqual(['openid', `${api} notes:read`])
    const callback = await completeLogin({ page: consent, visitor: begun.visitor }, email)
    const { json } = await redeem(postern, { callback, verifier: begun.verifier }, { client, resource: api })
    expect(json).toMatchObject({ scope: 'notes:read' })
  })

  test('a client that asks only for offline_access and cannot have it gets an error, not another scope', async () => {
    const client = await createClient({ grant_types: ['authorization_code'], scope: 'openid email' })
    const begun = await beginLogin(await discover(postern, client), { ...front, scope: 'offline_access' })
    expect(answerOf(begun.page.url)).toMatchObject({ error: 'invalid_scope' })
  })

  test('known scopes are granted if unknown ones are requested too, and the answer names them (§5.1)', async () => {
    const client = await createClient({ scope: 'openid email' })
    const begun = await beginLogin(await discover(postern, client), { ...front, scope: 'openid nope' })
    const callback = await completeLogin(begun, email)
    const { json } = await redeem(postern, { callback, verifier: begun.verifier }, { client })
    expect(json).toMatchObject({ scope: 'openid' })
  })

  test('a machine gets an error too', async () => {
    const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
    const client = await postern.createClient({ ...machine, scope: 'notes:read', resources: [api] })
    for (const scope of unknown.slice(0, 2)) {
      const form = { grant_type: 'client_credentials', scope }
      const { status, json } = await send(postern, '/oauth/token', { client, form })
      expect([scope, status, json['error']]).toEqual([scope, 400, 'invalid_scope'])
    }
  })
})

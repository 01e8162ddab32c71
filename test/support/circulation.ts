import { createHash, randomUUID } from 'node:crypto'
import { exportJWK, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { expect } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import type { Canaries } from './canaries.ts'
import { password, type TestPostern } from './postern.ts'
import { authorize, completeLogin, login, visit } from './relying-party.ts'
import type { Page, Visitor } from './visitor.ts'
import { type Answer, createKey, redeem, send } from './wire.ts'

/** The deployment that a scene plays on. `afterStep` is called whenever there may be something new to see. */
export type Scene = {
  postern: TestPostern
  canaries: Canaries
  client: ClientMetadata
  email: string
  afterStep: () => Promise<void>
}

const scope = 'openid email offline_access'
const redirect_uri = 'https://rp.example/cb'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

/** Issues, uses and leaves unused one of every kind of credential, and collects them all. */
export async function circulate(scene: Scene): Promise<void> {
  const { canaries, client, postern } = scene
  canaries.collect('password', password)
  canaries.collectClient('client_secret', client)
  const first = canaries.visitor(postern.issuer)
  const steps = {
    'signing in, consenting and refreshing': () => signInAndRefresh(scene, first),
    'connecting a device': () => connectDevice(scene, first),
    'leaving a device undecided': () => leaveDevice(scene),
    'leaving a pushed request at the sign-in page': () => leaveInteraction(scene, first),
    'binding a token to a key': () => bindToken(scene),
    'authenticating a client with an assertion': () => assertClient(scene),
    'signing out elsewhere': () => signOutElsewhere(scene),
    'failing to sign in': () => failToSignIn(scene),
  }
  for (const [name, work] of Object.entries(steps)) {
    try {
      await work()
    } catch (error) {
      throw new Error(`while ${name}`, { cause: error })
    }
    await scene.afterStep()
  }
}

/** Sends a request to the token endpoint, and collects the secrets in the answer. */
async function ask(
  { postern, canaries }: Scene,
  form: Record<string, string>,
  who: ClientMetadata | undefined,
  headers = {},
): Promise<Answer> {
  const answer = await send(postern, '/oauth/token', { client: who, form, headers })
  canaries.collectFrom(answer)
  return answer
}

async function begin(scene: Scene, visitor: Visitor, asked: { scope?: string } = {}) {
  const { postern, canaries, client, email } = scene
  const begun = await authorize(postern, client, { email, visitor, ...asked })
  canaries.collect('code_verifier', begun.verifier)
  return begun
}

async function signInAndRefresh(scene: Scene, visitor: Visitor): Promise<void> {
  const { postern, canaries, client, afterStep } = scene
  const begun = await begin(scene, visitor, { scope })
  await afterStep() // the code, before it is used
  const answer = await redeem(postern, begun, { client })
  canaries.collectFrom(answer)
  await afterStep()
  const refresh_token = String(answer.json['refresh_token'])
  const rotated = await ask(scene, { grant_type: 'refresh_token', refresh_token }, client)
  expect(rotated.status).toBe(200)
  const token = String(rotated.json['access_token'])
  await send(postern, '/oauth/introspect', { client, form: { token } })
  await send(postern, '/oauth/userinfo', { bearer: token })
  const unredeemed = await begin(scene, visitor)
  const wrong = await redeem(postern, { ...unredeemed, verifier: oidc.randomPKCECodeVerifier() }, { client })
  expect(wrong.status).toBe(400)
}

async function beginDevice({ postern, canaries }: Scene) {
  const tv = await postern.createClient({
    grant_types: [deviceGrant, 'refresh_token'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'none',
  })
  const begun = await send(postern, '/oauth/device_authorization', { form: { client_id: tv.client_id, scope } })
  canaries.collectFrom(begun)
  return { tv, ...(begun.json as { device_code: string; user_code: string }) }
}

async function enterCode({ canaries }: Scene, visitor: Visitor, user_code: string): Promise<Page> {
  const shown = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
  canaries.collectForms(shown)
  const page = await visitor.submit(shown, '/device', { confirm: 'yes' })
  canaries.collectForms(page)
  return page
}

async function connectDevice(scene: Scene, visitor: Visitor): Promise<void> {
  const { tv, user_code, device_code } = await beginDevice(scene)
  const page = await enterCode(scene, visitor, user_code)
  await scene.afterStep()
  await visitor.allow(page)
  const answer = await ask(scene, { grant_type: deviceGrant, device_code, client_id: tv.client_id }, undefined)
  expect(answer.status, answer.text).toBe(200)
}

async function leaveDevice(scene: Scene): Promise<void> {
  const { user_code } = await beginDevice(scene)
  await enterCode(scene, scene.canaries.visitor(scene.postern.issuer), user_code)
}

/** Returns an authorization request that nobody answers. */
async function request({ client }: Scene): Promise<Record<string, string>> {
  const code_challenge = await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier())
  return {
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri,
    scope: 'openid',
    code_challenge,
    code_challenge_method: 'S256',
  }
}

async function leaveInteraction(scene: Scene, visitor: Visitor): Promise<void> {
  const { postern, canaries, client, afterStep } = scene
  const pushed = await send(postern, '/oauth/par', { client, form: { ...(await request(scene)), prompt: 'login' } })
  canaries.collectFrom(pushed)
  await afterStep()
  const { client_id } = client
  const query = new URLSearchParams({ client_id, request_uri: String(pushed.json['request_uri']) })
  const { page } = await visit(postern, `/oauth/authorize?${query}`, visitor)
  expect(page.url).toContain('/interaction/')
  canaries.collectForms(page)
}

async function bindToken(scene: Scene): Promise<void> {
  const { postern, canaries, client } = scene
  const { key } = await createKey()
  const { d: _d, ...jwk } = await exportJWK(key)
  const prove = async (htm: string, path: string, claims = {}) => {
    const said = { htm, htu: `${postern.issuer}${path}`, iat: Math.floor(Date.now() / 1000), jti: randomUUID() }
    const header = { alg: 'ES256', typ: 'dpop+jwt', jwk }
    const proof = await new SignJWT({ ...said, ...claims }).setProtectedHeader(header).sign(key)
    canaries.collect('DPoP proof', proof)
    return proof
  }
  const { callback, verifier } = await begin(scene, canaries.visitor(postern.issuer), { scope })
  const code = String(callback.searchParams.get('code'))
  const answer = await ask(
    scene,
    { grant_type: 'authorization_code', code, redirect_uri, code_verifier: verifier },
    client,
    { dpop: await prove('POST', '/oauth/token') },
  )
  expect(answer.json['token_type'], answer.text).toBe('DPoP')
  const token = String(answer.json['access_token'])
  const ath = createHash('sha256').update(token).digest('base64url')
  const headers = { authorization: `DPoP ${token}`, dpop: await prove('GET', '/oauth/userinfo', { ath }) }
  expect((await send(postern, '/oauth/userinfo', { headers })).status).toBe(200)
}

/** Authenticates a client with an assertion (RFC 7523 §2.2), signed with a key of its own and with its secret. */
async function assertClient(scene: Scene): Promise<void> {
  const { postern, canaries } = scene
  const { key, jwks } = await createKey()
  const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  const byKey = { ...machine, token_endpoint_auth_method: 'private_key_jwt', jwks }
  const bySecret = { ...machine, token_endpoint_auth_method: 'client_secret_jwt' }
  for (const metadata of [byKey, bySecret]) {
    const client = await postern.createClient(metadata)
    const secret = client['client_secret']
    if (secret !== undefined) canaries.collect('client_secret', secret)
    const client_assertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader(secret === undefined ? { alg: 'ES256', kid: 'k1' } : { alg: 'HS256' })
      .setIssuer(client.client_id)
      .setSubject(client.client_id)
      .setAudience(postern.issuer)
      .setIssuedAt()
      .setExpirationTime('1 min')
      .sign(secret === undefined ? key : Buffer.from(String(secret)))
    canaries.collect('client assertion', client_assertion)
    const form = {
      grant_type: 'client_credentials',
      client_assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    }
    const answer = await ask(scene, form, undefined)
    expect(answer.status, answer.text).toBe(200)
    expect((await ask(scene, form, undefined)).status).toBe(401) // it works once
  }
}

async function signOutElsewhere({ postern, canaries, client, email, afterStep }: Scene): Promise<void> {
  const { visitor, tokens } = await login(postern, client, { email, visitor: canaries.visitor(postern.issuer) })
  canaries.collectFrom({ json: { ...tokens } })
  const id_token_hint = String(tokens.id_token)
  canaries.collect('id_token_hint', id_token_hint)
  const page = await visitor.get(`/oauth/logout?${new URLSearchParams({ id_token_hint })}`)
  canaries.collectForms(page)
  await afterStep()
  expect((await visitor.submit(page, '/oauth/logout/confirm', { logout: 'yes' })).status).toBe(200)
}

async function failToSignIn(scene: Scene): Promise<void> {
  const { postern, canaries, email } = scene
  const query = new URLSearchParams(await request(scene))
  const begun = await visit(postern, `/oauth/authorize?${query}`, canaries.visitor(postern.issuer))
  const wrong = canaries.plant('wrong password')
  expect((await begun.visitor.signIn(begun.page, email, wrong)).status).toBe(401)
  canaries.collectForms(begun.page)
  await completeLogin(begun, email)
}

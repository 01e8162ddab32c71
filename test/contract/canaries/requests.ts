import { randomUUID } from 'node:crypto'
import { exportJWK, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { adminToken, call, createAdministrator } from '../../support/admin.ts'
import type { Scene } from '../../support/circulation.ts'
import { operate } from '../../support/operator.ts'
import { password } from '../../support/postern.ts'
import { authorize } from '../../support/relying-party.ts'
import type { Page, Visitor } from '../../support/visitor.ts'
import { type Answer, createKey, redeem, send } from '../../support/wire.ts'

/** A request that carries a secret, and its answer. `meant` lists the secrets that the answer may repeat. */
export type Carrier = { name: string; send(): Promise<Answer>; meant?: string[] }

const redirect_uri = 'https://rp.example/cb'

/** Creates new credentials of every kind, and a request with each. They are valid, whatever happens to the requests. */
export async function carriers(scene: Scene): Promise<Carrier[]> {
  return [...(await ofClients(scene)), ...(await ofPeople(scene)), ...(await ofAdministrators(scene))]
}

async function ofClients(scene: Scene): Promise<Carrier[]> {
  const { postern, canaries, client, email } = scene
  const visitor = canaries.visitor(postern.issuer)
  const parameters = { email, visitor, scope: 'openid offline_access' }
  const used = await redeem(postern, await authorize(postern, client, parameters), { client })
  canaries.collectFrom(used)
  const unused = await authorize(postern, client, parameters)
  canaries.collect('code_verifier', unused.verifier)
  const made = (await operate(postern, 'registration-token create', {})) as Record<string, unknown>
  canaries.collectFrom({ json: made })
  const bearer = String(made['initial_access_token'])
  const redirect_uris = [redirect_uri]
  const registered = await send(postern, '/oauth/register', { bearer, body: { redirect_uris } })
  canaries.collectFrom(registered)
  const [access, refresh, hint] = ['access_token', 'refresh_token', 'id_token'].map((name) => String(used.json[name]))
  const { client_id, client_secret, registration_access_token } = registered.json
  const manage = { bearer: String(registration_access_token) }
  const management = `/oauth/register/${client_id}`
  const { key } = await createKey()
  const { d: _d, ...jwk } = await exportJWK(key)
  const proof = await new SignJWT({ htm: 'POST', htu: `${postern.issuer}/oauth/token`, jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
    .setIssuedAt()
    .sign(key)
  canaries.collect('DPoP proof', proof)
  const wrong = { client_id: client.client_id, client_secret: canaries.plant('wrong client_secret') }
  canaries.collectClient('wrong client_secret', wrong)
  const token = (name: string, form: Record<string, string>, more = {}): Carrier => ({
    name,
    send: () => send(postern, '/oauth/token', { client, form, ...more }),
  })
  const at = (path: string, more: Parameters<typeof send>[2]): Carrier => ({
    name: String(path.split('?')[0]),
    send: () => send(postern, path, more),
  })
  return [
    at('/oauth/userinfo', { bearer: String(access) }),
    at('/oauth/introspect', { client, form: { token: String(access) } }),
    { name: 'code', send: () => redeem(postern, unused, { client }) },
    token('refresh token', { grant_type: 'refresh_token', refresh_token: String(refresh) }),
    token(
      'refresh token with a proof',
      { grant_type: 'refresh_token', refresh_token: String(refresh) },
      { headers: { dpop: proof } },
    ),
    token('wrong secret', { grant_type: 'client_credentials', ...wrong }, { client: undefined }),
    token('wrong secret in a header', { grant_type: 'client_credentials' }, { client: wrong }),
    token('grant type that is a secret', { grant_type: String(refresh) }),
    at('/oauth/device_authorization', { client, form: { client_id: client.client_id } }),
    at('/oauth/par', { client, form: { response_type: 'code', redirect_uri, client_secret: wrong.client_secret } }),
    at(`/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, id_token_hint: String(hint) })}`, {}),
    at(`/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, request: String(hint) })}`, {}),
    at(`/oauth/logout?${new URLSearchParams({ id_token_hint: `${hint}x` })}`, {}),
    at(`/oauth/userinfo?${new URLSearchParams({ access_token: String(access) })}`, {}),
    at('/oauth/register', { bearer, body: { redirect_uris } }),
    at('/oauth/register', { bearer, body: { redirect_uris: [client_secret], client_secret, jwks: client_secret } }),
    at(management, manage),
    at(management, {
      ...manage,
      method: 'PUT',
      body: { client_id, client_secret: wrong.client_secret, redirect_uris },
    }),
    at(management, { ...manage, method: 'PUT', body: { client_id, client_secret, redirect_uris } }),
    at('/oauth/revoke', { client, form: { token: String(refresh) } }),
  ]
}

/** Makes the requests that people send from pages, with what they type and what the pages contain. */
async function ofPeople(scene: Scene): Promise<Carrier[]> {
  const { postern, canaries, client, email } = scene
  const visitor = canaries.visitor(postern.issuer)
  const code_challenge = await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier())
  const asked = { client_id: client.client_id, response_type: 'code', redirect_uri, scope: 'openid', code_challenge }
  const page = await visitor.get(`/oauth/authorize?${new URLSearchParams({ ...asked, code_challenge_method: 'S256' })}`)
  canaries.collectForms(page)
  const wrong = canaries.plant('wrong password')
  const submit = (name: string, on: Page, action: string, fields: Record<string, string>): Carrier => ({
    name,
    send: async () => {
      canaries.collectForms(on)
      return toAnswer(await visitor.submit(on, action, fields))
    },
  })
  const device = await visitor.get('/device')
  const user_code = canaries.plant('wrong user code')
  return [
    submit('wrong password', page, '/sign-in', { email, password: wrong }),
    submit('wrong form', page, '/sign-in', { email, password: wrong, csrf: canaries.plant('csrf of a form') }),
    // A person who types it there sees it again, as they may have mistyped it.
    { ...submit('password for an address', page, '/sign-in', { email: wrong, password: '' }), meant: [wrong] },
    submit('right password', page, '/sign-in', { email, password }),
    { ...submit('wrong user code', device, '/device', { user_code }), meant: [user_code] },
    { name: 'another cookie', send: () => withCookies(scene, visitor) },
  ]
}

/** Requests a page that was left, with some cookies of someone else. */
async function withCookies({ postern, canaries }: Scene, visitor: Visitor): Promise<Answer> {
  const cookies = [...visitor.cookies].map(([name, { value }]) => `${name.split(' ')[0]}=${value}`)
  const forged = canaries.plant('forged cookie')
  const cookie = [...cookies, `postern_session.sig=${forged}`, `postern_interaction=${forged}`].join('; ')
  return send(postern, `/interaction/${forged}`, { headers: { cookie, accept: 'text/html' } })
}

async function ofAdministrators({ postern, canaries, client: { client_id } }: Scene): Promise<Carrier[]> {
  const administrator = await createAdministrator(postern)
  canaries.collect('client_secret of an administrator', administrator['client_secret'])
  const bearer = await adminToken(postern, administrator)
  canaries.collect('access_token of an administrator', bearer)
  const secret = canaries.plant('chosen client_secret')
  const chosen = canaries.plant('newly set password')
  const headers = { 'idempotency-key': canaries.plant('idempotency key') }
  const redirect_uris = [redirect_uri]
  const cursor = canaries.plant('wrong cursor')
  const at = (path: string, more: Omit<Parameters<typeof call>[2], 'bearer'> = {}): Carrier => ({
    name: `administrator's ${path.split('?')[0]}`,
    send: () => call(postern, path, { bearer, ...more }),
  })
  const put = (path: string, body: object) => at(path, { method: 'PUT', body })
  return [
    at('/accounts', { body: { email: `${randomUUID()}@example.com`, password: chosen } }),
    at('/accounts', { body: { email: 'ada@example.com', password: chosen } }),
    at('/accounts', { body: { email: chosen, password: chosen } }),
    at('/accounts', { body: { email: 'x@example.com', password: [chosen], claims: chosen } }),
    at('/clients', { headers, body: { redirect_uris } }),
    at('/clients', { headers, body: { redirect_uris: [secret] } }),
    at('/clients', { body: { redirect_uris, client_secret: secret } }),
    put(`/clients/${client_id}/secret`, { client_secret: secret, overlap_seconds: secret }),
    put(`/clients/${client_id}/secret`, { client_secret: `${secret}\u00e9` }),
    put(`/clients/${client_id}/secret`, { client_secret: `${secret}\0` }),
    put('/clients/nobody/secret', { client_secret: secret }),
    put('/accounts/nobody@example.com/password', { password: chosen }),
    put('/accounts/grace@example.com/password', { password: chosen }),
    at(`/clients?${new URLSearchParams({ cursor, limit: cursor })}`),
    at(`/clients?${new URLSearchParams({ cursor })}`),
    at(`/accounts?access_token=${bearer}`),
    at('/registration-tokens', { body: { expires: secret } }),
  ]
}

export function toAnswer({ status, headers, body }: Page): Answer {
  return { status, headers, text: body, json: {} }
}

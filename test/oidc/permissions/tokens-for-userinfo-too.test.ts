import { decodeJwt } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover, login } from '../../support/relying-party.ts'
import { tickboxes } from '../../support/visitor.ts'
import { redeem, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const formats = ['opaque', 'jwt'] as const
const apiOf = (format: string) => `https://${format}.example/`
const scope = 'openid email offline_access read write'
let postern: TestPostern
let sub: string

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  postern = await startPostern()
  sub = (await postern.createAccount(email, { name: 'Ada' })).id
  for (const tokenFormat of formats) {
    const scopes = { read: 'Read', write: 'Write' }
    await postern.createResource({ identifier: apiOf(tokenFormat), scopes, tokenFormat, servesUserinfo: true })
  }
  await postern.createResource({ identifier: 'https://other.example/' })
})
afterAll(async () => {
  await postern?.stop()
  vi.useRealTimers()
})

/** Moves the clock by the longest time that a process may take to learn of a change (docs/operations.md). */
const heard = () => vi.setSystemTime(Date.now() + 5_000)

const words = (text: unknown) => String(text).split(' ').sort()
const userinfo = (bearer: unknown) => send(postern, '/oauth/userinfo', { bearer: String(bearer) })

describe.each(formats)('an API whose %s tokens serve userinfo', (format) => {
  const resource = apiOf(format)
  const register = () => postern.createClient({ scope, resources: [resource] })

  test('gets a token that is for it and opens userinfo, as does each refresh', async () => {
    const client = await register()
    const { tokens, config } = await login(postern, client, { email, scope: 'openid email offline_access read' })
    expect(words(tokens.scope)).toEqual(['email', 'openid', 'read'])
    expect(await oidc.tokenIntrospection(config, tokens.access_token)).toMatchObject({ active: true, aud: resource })
    if (format === 'jwt') expect(decodeJwt(tokens.access_token)).toMatchObject({ aud: resource, scope: tokens.scope })
    expect((await userinfo(tokens.access_token)).json).toEqual({ sub, email, email_verified: true })
    const again = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
    expect(words(again.scope)).toEqual(['email', 'openid', 'read'])
    expect((await userinfo(again.access_token)).json).toMatchObject({ email })
  })

  test('gets no more than the person ticked, of itself and of them', async () => {
    const client = await register()
    const config = await discover(postern, client)
    const begun = await beginLogin(config, { issuer: postern.issuer, scope: 'openid email read write' })
    const consent = await begun.visitor.signIn(begun.page, email)
    const asked = tickboxes(consent.body).map(({ value }) => value)
    expect(asked).toEqual(['openid', 'email', `${resource} read`, `${resource} write`])
    const ticked = { scope: ['openid'], resource_scope: [`${resource} read`] }
    const { url } = await begun.visitor.submit(consent, '/consent', { decision: 'allow', ...ticked })
    const { json } = await redeem(postern, { callback: new URL(url), verifier: begun.verifier }, { client })
    expect(words(json['scope'])).toEqual(['openid', 'read'])
    expect((await userinfo(json['access_token'])).json).toEqual({ sub })
  })

  test('gets nothing if the person granted it nothing', async () => {
    const client = await register()
    const config = await discover(postern, client)
    const begun = await beginLogin(config, { issuer: postern.issuer, scope: 'openid email read' })
    const consent = await begun.visitor.signIn(begun.page, email)
    const ticked = { decision: 'allow', scope: ['openid', 'email'] }
    const { url } = await begun.visitor.submit(consent, '/consent', ticked)
    const { json } = await redeem(postern, { callback: new URL(url), verifier: begun.verifier }, { client })
    expect(words(json['scope'])).toEqual(['email', 'openid'])
    const about = await oidc.tokenIntrospection(config, String(json['access_token']))
    expect(about.aud).toBeUndefined()
  })

  test('has a token that no longer opens userinfo once the API or its client loses the permission', async () => {
    const client = await register()
    const { tokens } = await login(postern, client, { email, scope: 'openid email read' })
    await operate(postern, 'client update', { client_id: client.client_id, scope: 'openid read write' })
    heard()
    expect((await userinfo(tokens.access_token)).json).toEqual({ sub })
    await operate(postern, 'resource update', { identifier: resource, serves_userinfo: false })
    heard()
    expect((await userinfo(tokens.access_token)).status).toBe(403)
    await operate(postern, 'resource update', { identifier: resource, serves_userinfo: true })
    heard()
  })
})

test('a machine’s token has no scopes about people', async () => {
  const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  const client = await postern.createClient({ ...machine, scope: 'openid email read', resources: [apiOf('opaque')] })
  const { json } = await send(postern, '/oauth/token', { client, form: { grant_type: 'client_credentials' } })
  expect(json['scope']).toBe('read')
  expect((await userinfo(json['access_token'])).status).toBe(401)
})

test('any other API has tokens that do not open userinfo', async () => {
  const client = await postern.createClient({ scope, resources: ['https://other.example/'] })
  const { tokens } = await login(postern, client, { email, scope: 'openid email read' })
  expect(tokens.scope).toBe('read')
  expect((await userinfo(tokens.access_token)).status).toBe(403)
})

import { request } from 'node:http'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Guard, type Options, requireToken } from '../../src/resource-server/index.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { discover, login } from '../support/relying-party.ts'
import { age } from '../support/wire.ts'
import { frameworks, serve } from './apis.ts'

type Api = { url: string; guard: Guard }

const email = 'ada@example.com'
const machineMetadata = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }
const forms = ['opaque', 'jwt'] as const
const combinations = (Object.keys(frameworks) as (keyof typeof frameworks)[]).flatMap((framework) =>
  forms.map((form) => ({ framework, form })),
)

let postern: TestPostern
let app: ClientMetadata
let machine: ClientMetadata
let owner: ClientMetadata
const apis = new Map<string, Api>()
const stops: (() => Promise<void>)[] = []

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  app = await postern.createClient()
  owner = await postern.createClient({ ...machineMetadata, introspection_signed_response_alg: 'ES256' })
  const other = { identifier: 'https://other.example/', scopes: { read: '' }, clientId: owner.client_id }
  await postern.createResource(other)
  for (const { framework, form } of combinations) {
    const port = await freePort()
    const url = `http://localhost:${port}/notes`
    await postern.createResource({
      identifier: url,
      scopes: { read: '', write: '' },
      tokenFormat: form,
      clientId: owner.client_id,
    })
    const guard = guardOf(url, form === 'opaque' ? { introspection: as(owner) } : {})
    stops.push(await serve(frameworks[framework](guard), port))
    apis.set(`${framework} ${form}`, { url, guard })
  }
  const resources = [other.identifier, ...[...apis.values()].map(({ url }) => url)]
  machine = await postern.createClient({ ...machineMetadata, scope: 'read write', resources })
})
afterAll(async () => {
  for (const stop of stops) await stop()
  await postern?.stop()
})

const as = ({ client_id, client_secret }: ClientMetadata) => ({
  clientId: client_id,
  clientSecret: String(client_secret),
  cacheSeconds: 1,
})

const guardOf = (audience: string, options: Partial<Options> = {}) =>
  requireToken({ issuer: postern.issuer, audience, scopes: ['read'], onUnavailable: () => {}, ...options })

const api = (name: string) => apis.get(name) as Api

async function machineToken(resource: string, scope = 'read'): Promise<string> {
  const config = await discover(postern, machine)
  return (await oidc.clientCredentialsGrant(config, { resource, scope })).access_token
}

async function call(url: string, authorization?: string) {
  const response = await fetch(url, authorization ? { headers: { authorization } } : {})
  const body = (await response.json()) as Record<string, unknown>
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body }
}

describe.each(combinations)('an API on $framework with $form tokens', ({ framework, form }) => {
  const place = () => api(`${framework} ${form}`).url

  test('learns the person and the app (RFC 7662 §2.2, RFC 9068 §2.2)', async () => {
    const resource = place()
    const { tokens } = await login(postern, app, {
      email,
      scope: 'openid read',
      resource,
      tokenParameters: { resource },
    })
    expect(await call(resource, `Bearer ${tokens.access_token}`)).toMatchObject({
      status: 200,
      body: { sub: tokens.claims()?.sub, client_id: app.client_id, aud: resource, scope: 'read', iss: postern.issuer },
    })
    const idToken = await call(resource, `Bearer ${tokens.id_token}`)
    expect(idToken).toMatchObject({ status: 401, body: { error: 'invalid_token' } })
  })

  test('accepts a token with the DPoP proof of openid-client (RFC 9449 §7.1)', async () => {
    const config = await discover(postern, machine)
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair())
    const { access_token } = await oidc.clientCredentialsGrant(config, { resource: place(), scope: 'read' }, { DPoP })
    for (const address of [place(), `${place()}?page=2`]) {
      const url = new URL(address)
      const response = await oidc.fetchProtectedResource(config, access_token, url, 'GET', null, undefined, { DPoP })
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({ client_id: machine.client_id, cnf: { jkt: expect.any(String) } })
    }
    expect(await call(place(), `Bearer ${access_token}`)).toMatchObject({
      status: 401,
      body: { error: 'invalid_token' },
    })
    expect(await call(place(), `DPoP ${access_token}`)).toMatchObject({
      status: 401,
      challenge: expect.stringContaining('error="invalid_dpop_proof"'),
    })
  })

  test('publishes where its tokens come from, and names that address to a caller without a token (RFC 9728 §5)', async () => {
    const { status, challenge } = await call(place())
    expect(status).toBe(401)
    const [, metadataUrl = ''] = /resource_metadata="([^"]+)"/.exec(String(challenge)) ?? []
    expect(metadataUrl).toBe(place().replace('/notes', '/.well-known/oauth-protected-resource/notes'))
    const metadata = (await (await fetch(metadataUrl)).json()) as { resource: string; authorization_servers: string[] }
    expect(metadata).toMatchObject({ resource: place(), authorization_servers: [postern.issuer] })
    const head = await fetch(metadataUrl, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test('rejects a token for another API, even if the API may introspect it (RFC 8707 §2)', async () => {
    const other = combinations.filter((one) => one.form === form && one.framework !== framework)
    const resources = other.map((one) => api(`${one.framework} ${form}`).url)
    for (const resource of [...resources, 'https://other.example/']) {
      const refused = await call(place(), `Bearer ${await machineToken(resource)}`)
      expect(refused).toMatchObject({ status: 401, body: { error: 'invalid_token' } })
    }
  })

  test('rejects a token without the scope, and names the scope (RFC 6750 §3.1)', async () => {
    expect(await call(place(), `Bearer ${await machineToken(place(), 'write')}`)).toMatchObject({
      status: 403,
      challenge: expect.stringMatching(/error="insufficient_scope".*scope="read"$/),
      body: { error: 'insufficient_scope', error_description: expect.any(String) },
    })
  })

  test('rejects two Authorization headers, even if each has a valid token (RFC 6750 §3.1)', async () => {
    const authorization = `Bearer ${await machineToken(place())}`
    const status = await new Promise((resolve, reject) => {
      const headers = ['Host', new URL(place()).host, 'Authorization', authorization, 'Authorization', authorization]
      request(place(), { headers, agent: false }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end()
    })
    expect(status).toBe(400)
  })

  test('rejects a way of signing in that it does not accept (RFC 9470 §3)', async () => {
    const request = new Request(place(), { headers: { authorization: `Bearer ${await machineToken(place())}` } })
    const { refusal } = await api(`${framework} ${form}`).guard.verify(request, { acrValues: ['urn:example:retina'] })
    expect(refusal).toMatchObject({ status: 401, body: { error: 'insufficient_user_authentication' } })
  })
})

describe('a token that is introspected', () => {
  const place = () => api('Koa opaque').url

  test('is rejected once it is revoked and the cached answer has expired', async () => {
    const token = await machineToken(place())
    expect((await call(place(), `Bearer ${token}`)).status).toBe(200)
    await oidc.tokenRevocation(await discover(postern, machine), token)
    await expect.poll(async () => (await call(place(), `Bearer ${token}`)).status).toBe(401)
  })

  test('is rejected when it has expired', async () => {
    const token = await machineToken(place())
    await age(postern, 'ClientCredentials', 3_600)
    expect(await call(place(), `Bearer ${token}`)).toMatchObject({ status: 401, body: { error: 'invalid_token' } })
  })

  test('can also be verified by a signed answer (RFC 9701)', async () => {
    const guard = guardOf(place(), { introspection: { ...as(owner), signed: true } })
    const ask = (token: string) =>
      guard.request(new Request(place(), { headers: { authorization: `Bearer ${token}` } }))
    expect(await ask(await machineToken(place()))).toMatchObject({ client_id: machine.client_id, scope: 'read' })
    expect(await ask('unknown')).toMatchObject({ status: 401 })
  })

  test('is rejected when an unrelated client asks, and cannot be checked with a wrong secret', async () => {
    const token = await machineToken(place())
    const stranger = await postern.createClient(machineMetadata)
    const outcomes: [object, number][] = [
      [as(stranger), 401],
      [{ ...as(owner), clientSecret: 'wrong' }, 503],
    ]
    for (const [introspection, status] of outcomes) {
      const guard = guardOf(place(), { introspection: introspection as ReturnType<typeof as> })
      const answer = guard.request(new Request(place(), { headers: { authorization: `Bearer ${token}` } }))
      expect(await answer).toMatchObject({ status })
    }
  })
})

describe('while the provider is unreachable', () => {
  test('JWT tokens are accepted, and other tokens get 503, never 401', async () => {
    const [opaque, jwt] = [api('Express opaque').url, api('Express jwt').url]
    const tokens = { opaque: await machineToken(opaque), jwt: await machineToken(jwt) }
    expect((await call(jwt, `Bearer ${tokens.jwt}`)).status).toBe(200)
    await postern.server.stop()
    expect((await call(jwt, `Bearer ${tokens.jwt}`)).status).toBe(200)
    for (const token of [tokens.opaque, 'unknown']) {
      expect(await call(opaque, `Bearer ${token}`)).toMatchObject({
        status: 503,
        challenge: null,
        body: { error: 'temporarily_unavailable' },
      })
    }
    await postern.restart()
    await expect.poll(async () => (await call(opaque, `Bearer ${tokens.opaque}`)).status).toBe(200)
  })
})

import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { discover, login } from '../support/relying-party.ts'
import { run, stopAll } from './example.ts'

let postern: TestPostern
let api: ClientMetadata
let machine: ClientMetadata
let resource: string

const machineMetadata = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }

beforeAll(async () => {
  postern = await startPostern()
  const port = await freePort()
  resource = `http://localhost:${port}/api`
  const other = 'https://other.example/api'
  api = await postern.createClient({ ...machineMetadata, scope: 'notes:read', resources: [other] })
  const scope = 'notes:read notes:write'
  machine = await postern.createClient({ ...machineMetadata, scope, resources: [resource] })
  await postern.createResource({
    identifier: resource,
    scopes: { 'notes:read': '', 'notes:write': '' },
    clientId: api.client_id,
  })
  await postern.createResource({ identifier: other, scopes: { 'notes:read': '' } })
  const server = run('examples/resource-server/main.ts', settings(api, port))
  await server.prints(/accepts tokens/)
})
afterAll(async () => {
  await stopAll()
  await postern?.stop()
})

const settings = ({ client_id, client_secret }: ClientMetadata, port: number) => ({
  ISSUER: postern.issuer,
  CLIENT_ID: client_id,
  CLIENT_SECRET: String(client_secret),
  RESOURCE: resource,
  PORT: String(port),
})

const call = async (authorization?: string, address = `${resource}/protected`) => {
  const response = await fetch(address, authorization ? { headers: { authorization } } : {})
  return {
    status: response.status,
    challenge: response.headers.get('www-authenticate'),
    body: (await response.json()) as Record<string, unknown>,
  }
}

async function tokenFor(client: ClientMetadata, parameters: Record<string, string>): Promise<string> {
  const tokens = await oidc.clientCredentialsGrant(await discover(postern, client), parameters)
  return tokens.access_token
}

describe('a token for this API with the scope', () => {
  test('is accepted, and the API learns the client (RFC 7662 §2.2)', async () => {
    const { status, body } = await call(`Bearer ${await tokenFor(machine, { resource, scope: 'notes:read' })}`)
    expect(status).toBe(200)
    expect(body).toMatchObject({ client_id: machine.client_id, scope: 'notes:read', expires_at: expect.any(Number) })
  })

  test('names the person it belongs to, with the name of the scheme in any case (RFC 9110 §11.1)', async () => {
    const account = await postern.createAccount('ada@example.com')
    const client = await postern.createClient()
    const { config, tokens } = await login(postern, client, {
      email: 'ada@example.com',
      scope: 'openid notes:read offline_access',
      resource,
    })
    const { status, body } = await call(`bearer ${tokens.access_token}`)
    expect(status).toBe(200)
    expect(body).toMatchObject({ sub: account.id, client_id: client.client_id })

    const { access_token } = await oidc.refreshTokenGrant(config, String(tokens.refresh_token), { scope: 'openid' })
    const forUserinfo = await call(`Bearer ${access_token}`)
    expect(forUserinfo).toMatchObject({ status: 401, challenge: expect.stringContaining('error="invalid_token"') })
  })
})

describe('RFC 6750 §3: the API rejects', () => {
  test.each([
    ['a request without a token', undefined],
    ['a request with another scheme', 'Basic YTpi'],
  ])('%s with 401 and a challenge that names no error', async (_title, authorization) => {
    const place = resource.replace('/api', '/.well-known/oauth-protected-resource/api')
    const bare = new RegExp(`^Bearer realm="${resource}", resource_metadata="${place}", DPoP (?!.*error)`)
    expect(await call(authorization)).toMatchObject({ status: 401, challenge: expect.stringMatching(bare) })
  })

  test('a token in the query (RFC 9700 §4.3.2)', async () => {
    const token = await tokenFor(machine, { resource, scope: 'notes:read' })
    expect((await call(undefined, `${resource}/protected?access_token=${token}`)).status).toBe(401)
  })

  test.each([
    ['with nothing after the scheme', 'Bearer'],
    ['with two tokens', 'Bearer a b'],
    ['with characters that no token has', 'Bearer "quoted"'],
  ])('a header %s with 400 invalid_request', async (_title, authorization) => {
    const { status, challenge } = await call(authorization)
    expect(status).toBe(400)
    expect(challenge).toContain('error="invalid_request"')
  })

  test('an unknown token with 401 invalid_token', async () => {
    expect(await call('Bearer nonsense')).toMatchObject({
      status: 401,
      challenge: expect.stringMatching(/^Bearer .* error="invalid_token"/),
      body: { error: 'invalid_token' },
    })
  })

  test('a revoked token with 401', async () => {
    const token = await tokenFor(machine, { resource, scope: 'notes:read' })
    await oidc.tokenRevocation(await discover(postern, machine), token)
    expect((await call(`Bearer ${token}`)).status).toBe(401)
  })

  test('an expired token with 401', async () => {
    const token = await tokenFor(machine, { resource, scope: 'notes:read' })
    expect((await call(`Bearer ${token}`)).status).toBe(200)
    await postern.database.query(
      `update artifacts set expires_at = now() - interval '1 minute',
        payload = jsonb_set(payload, '{exp}', to_jsonb(extract(epoch from now())::int - 60))
        where client_id = $1`,
      [machine.client_id],
    )
    // The previous answer is cached for five seconds.
    await expect.poll(async () => (await call(`Bearer ${token}`)).status).toBe(401)
  })

  test('a token for another API with 401, even one that it may introspect (RFC 8707 §2)', async () => {
    const token = await tokenFor(api, { resource: 'https://other.example/api', scope: 'notes:read' })
    const known = await oidc.tokenIntrospection(await discover(postern, api), token)
    expect(known).toMatchObject({ active: true, scope: 'notes:read' })
    expect((await call(`Bearer ${token}`)).status).toBe(401)
  })

  test('a token bound to a key with 401 unless the request proves possession of the key (RFC 9449 §7)', async () => {
    const config = await discover(postern, machine)
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair())
    const tokens = await oidc.clientCredentialsGrant(config, { resource, scope: 'notes:read' }, { DPoP })
    expect(tokens.token_type).toBe('dpop')
    expect((await call(`Bearer ${tokens.access_token}`)).status).toBe(401)
    const url = new URL(`${resource}/protected`)
    const proven = await oidc.fetchProtectedResource(config, tokens.access_token, url, 'GET', null, undefined, { DPoP })
    expect(proven.status).toBe(200)
  })

  test('a token without the scope with 403, and names the scope (RFC 6750 §3.1)', async () => {
    expect(await call(`Bearer ${await tokenFor(machine, { resource, scope: 'notes:write' })}`)).toMatchObject({
      status: 403,
      challenge: expect.stringMatching(/error="insufficient_scope".*scope="notes:read"$/),
      body: { error: 'insufficient_scope' },
    })
  })

  test('a request with 503, not blaming the token, when the provider does not answer', async () => {
    const port = await freePort()
    const server = run('examples/resource-server/main.ts', { ...settings(api, port), CLIENT_SECRET: 'wrong' })
    await server.prints(/accepts tokens/)
    const token = await tokenFor(machine, { resource, scope: 'notes:read' })
    expect(await call(`Bearer ${token}`, `http://localhost:${port}/api/protected`)).toMatchObject({
      status: 503,
      challenge: null,
    })
  })
})

describe('RFC 9728 §3: the metadata of the API', () => {
  test('names the issuer of its tokens and its scopes', async () => {
    const { status, body } = await call(
      undefined,
      resource.replace('/api', '/.well-known/oauth-protected-resource/api'),
    )
    expect(status).toBe(200)
    expect(body).toMatchObject({ resource, authorization_servers: [postern.issuer], scopes_supported: ['notes:read'] })
  })
})

describe('starting the example API', () => {
  test('works without a provider, but rejects every token until there is one, and prints the reason', async () => {
    const [port, nowhere] = [await freePort(), await freePort()]
    const server = run('examples/resource-server/main.ts', {
      ...settings(api, port),
      ISSUER: `http://localhost:${nowhere}`,
    })
    await server.prints(/accepts tokens/)
    const answer = await call('Bearer token', `http://localhost:${port}/api/protected`)
    expect(answer).toMatchObject({ status: 503, challenge: null })
    await server.prints(new RegExp(`A token of http://localhost:${nowhere} could not be judged: .*ECONNREFUSED`))
  })

  test('fails without a client and on a port in use, and says what to do', async () => {
    const attempts: [Record<string, string>, RegExp][] = [
      [{}, /Set CLIENT_ID and CLIENT_SECRET\./],
      [settings(api, Number(new URL(resource).port)), /Port \d+ is in use\. Set PORT/],
    ]
    for (const [environment, says] of attempts) {
      const server = run('examples/resource-server/main.ts', environment)
      expect(await server.ended).toMatchObject({ code: 1 })
      expect(server.output()).toMatch(says)
    }
  })
})

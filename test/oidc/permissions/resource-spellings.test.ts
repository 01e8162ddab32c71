import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { authorize, beginLogin, completeLogin, discover, visit } from '../../support/relying-party.ts'
import { answerOf, redeem, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const [bare, slashed, deep, urn] = [
  'https://mcp.example.com',
  'https://files.example.com/',
  'https://apis.example.com/mcp',
  'urn:example:api',
]

let postern: TestPostern
let client: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  for (const identifier of [bare, slashed, deep, urn]) await postern.createResource({ identifier })
  client = await postern.createClient({
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials', deviceGrant],
    scope: 'openid offline_access read',
    resources: [bare, slashed, deep, urn],
  })
})
afterAll(() => postern.stop())

const equivalent: [registered: string, ...spellings: string[]][] = [
  [
    bare,
    'https://mcp.example.com/',
    'HTTPS://mcp.example.com',
    'https://MCP.Example.com/',
    'https://mcp.example.com:443',
  ],
  [slashed, 'https://files.example.com', 'https://files.example.com:443/', 'https://FILES.example.com'],
  [deep, 'https://APIS.example.com/mcp', 'https://apis.example.com:443/mcp', 'https://apis.example.com/x/../mcp'],
]
const others = [
  'http://mcp.example.com',
  'https://mcp.example.com:8443',
  'https://mcp.example.com./',
  'https://mcp.example.com/?a',
  'https://mcp.example.com/mcp',
  'https://user@mcp.example.com',
  'https://mcp.example.com ',
  'https:\\\\mcp.example.com',
  'https://mcp.exa\tmple.com',
  'https://apis.example.com/mcp/',
  'https://apis.example.com/MCP',
  'https://apis.example.com/mcp?',
  'https://apis.example.com/%6dcp',
  'URN:example:api',
  'urn:example:API',
]

const token = (form: Record<string, string>) => send(postern, '/oauth/token', { client, form })
const audience = async (accessToken: unknown) =>
  (await send(postern, '/oauth/introspect', { client, form: { token: String(accessToken) } })).json['aud']

/** The endpoints that take a resource, with the outcome: the audience of the token, or the error. */
const places: [name: string, ask: (resource: string) => Promise<unknown>][] = [
  [
    'client credentials',
    async (resource) => {
      const { json } = await token({ grant_type: 'client_credentials', scope: 'read', resource })
      return json['error'] ?? audience(json['access_token'])
    },
  ],
  [
    'an authorization request',
    async (resource) => {
      const config = await discover(postern, client)
      const begun = await beginLogin(config, { issuer: postern.issuer, scope: 'openid read', resource })
      if (!begun.page.url.includes('/interaction/')) return answerOf(begun.page.url)['error']
      const callback = await completeLogin(begun, email)
      const { json } = await redeem(postern, { callback, verifier: begun.verifier }, { client })
      return audience(json['access_token'])
    },
  ],
  [
    'a code and a refresh token',
    async (resource) => {
      const asked = { email, scope: 'openid offline_access read', resource: [bare, slashed, deep, urn] }
      const begun = await authorize(postern, client, asked)
      const { json } = await redeem(postern, begun, { client, resource })
      if (json['error']) return json['error']
      expect(await audience(json['access_token'])).not.toBe(resource)
      const form = { grant_type: 'refresh_token', refresh_token: String(json['refresh_token']), resource }
      return audience((await token(form)).json['access_token'])
    },
  ],
  [
    'a pushed request',
    async (resource) => {
      const verifier = oidc.randomPKCECodeVerifier()
      const form = {
        client_id: client.client_id,
        response_type: 'code',
        redirect_uri: 'https://rp.example/cb',
        scope: 'openid read',
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        resource,
      }
      const pushed = await send(postern, '/oauth/par', { client, form })
      if (pushed.json['error']) return pushed.json['error']
      const query = new URLSearchParams({
        client_id: client.client_id,
        request_uri: String(pushed.json['request_uri']),
      })
      const callback = await completeLogin(await visit(postern, `${postern.issuer}/oauth/authorize?${query}`), email)
      return audience((await redeem(postern, { callback, verifier }, { client })).json['access_token'])
    },
  ],
  [
    'a device authorization',
    async (resource) => {
      const form = { client_id: client.client_id, scope: 'openid read', resource }
      const begun = await send(postern, '/oauth/device_authorization', { client, form })
      if (begun.json['error']) return begun.json['error']
      const { visitor, page } = await visit(postern, `${postern.issuer}/device`)
      const user_code = String(begun.json['user_code'])
      const confirmed = await visitor.submit(page, '/device', { user_code })
      await completeLogin({ page: await visitor.submit(confirmed, '/device', { confirm: 'yes' }), visitor }, email)
      const { json } = await token({ grant_type: deviceGrant, device_code: String(begun.json['device_code']) })
      return audience(json['access_token'])
    },
  ],
]

describe.each(places)('the resource of %s', (_name, ask) => {
  test.each(equivalent)('may be %s in another spelling', async (registered, ...spellings) => {
    for (const spelling of spellings) expect([spelling, await ask(spelling)]).toEqual([spelling, registered])
  })

  test('is rejected if it is only similar to a registered one', async () => {
    for (const other of others) expect([other, await ask(other)]).toEqual([other, 'invalid_target'])
  })
})

test('an API that is named twice, in two spellings, counts once', async () => {
  const resource = ['https://mcp.example.com', 'https://mcp.example.com/']
  const begun = await authorize(postern, client, { email, scope: 'openid read', resource })
  const { json } = await redeem(postern, begun, { client })
  expect(await audience(json['access_token'])).toBe(bare)
})

test('a client that lists an API in another spelling may ask for it', async () => {
  const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  const lister = await postern.createClient({ ...machine, scope: 'read', resources: [`${bare}/`] })
  const form = { grant_type: 'client_credentials', scope: 'read', resource: bare }
  expect((await send(postern, '/oauth/token', { client: lister, form })).json).toMatchObject({ scope: 'read' })
})

test('an API cannot be registered again in another spelling', async () => {
  for (const [registered, ...spellings] of equivalent) {
    for (const identifier of spellings) {
      const again = operate(postern, 'resource create', { identifier, scopes: { read: 'Read' } })
      await expect(again).rejects.toThrow(`There already is a resource server ${registered}.`)
    }
  }
  const own = `${postern.issuer.replace('http', 'HTTP')}/admin/api`
  const admin = operate(postern, 'resource create', { identifier: own, scopes: { read: 'Read' } })
  await expect(admin).rejects.toThrow('There already is')
})

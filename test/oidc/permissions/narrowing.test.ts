import { decodeJwt } from 'jose'
import type * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, login } from '../../support/relying-party.ts'
import type { Visitor } from '../../support/visitor.ts'
import { type Answer, send } from '../../support/wire.ts'

const people = ['openid', 'profile', 'email', 'offline_access']
const ofApi = ['read', 'write']
const everything = [...people, ...ofApi]
const scope = everything.join(' ')
/** The scopes of a refresh for userinfo: a refresh for all scopes is for the API of the login. */
const ofPeople = { scope: people.join(' ') }
const documents = new Map<string, string>()
const document = async (input: unknown) =>
  new Response(documents.get(String(input)) ?? '', { headers: { 'content-type': 'application/json' } })
let postern: TestPostern
let count = 0

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  postern = await startPostern(
    { CLIENT_ID_METADATA_DOCUMENTS: 'app.example' },
    { fetch: document as typeof globalThis.fetch },
  )
})
afterAll(async () => {
  await postern?.stop()
  vi.useRealTimers()
})

/** Moves the clock by the longest time that a process may take to learn of a change (docs/operations.md). */
const heard = () => vi.setSystemTime(Date.now() + 5_000)

/** Everything that one client was issued: tokens for userinfo, for an API and for itself, and a refresh token. */
type Holder = {
  client: ClientMetadata
  owner: ClientMetadata
  api: string
  email: string
  config: oidc.Configuration
  visitor: Visitor
  tokens: { userinfo: string; api: string; refresh: string; machine: string }
}

const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const apiScopes = { read: 'Read', write: 'Write' }

async function createHolder(metadata: Record<string, unknown>, kind: 'registered' | 'document'): Promise<Holder> {
  const n = ++count
  const [api, email] = [`https://api-${n}.example/`, `person-${n}@example.com`]
  await postern.createAccount(email, { name: 'Ada' })
  const owner = await postern.createClient(machine)
  await operate(postern, 'resource create', { identifier: api, scopes: apiScopes, client_id: owner.client_id })
  const client =
    kind === 'document'
      ? await publish(`https://app.example/${n}`, metadata, api)
      : await postern.createClient({
          grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
          scope,
          resources: [api],
          ...metadata,
        })
  heard()
  const { config, visitor, tokens } = await login(postern, client, { email, scope, resource: api })
  const holder = { client, owner, api, email, config, visitor }
  const held = { userinfo: '', api: tokens.access_token, refresh: String(tokens.refresh_token), machine: '' }
  const whole: Holder = { ...holder, tokens: held }
  held.userinfo = String((await refresh(whole, ofPeople)).json['access_token'])
  if (kind === 'registered') held.machine = String((await credentials(whole)).json['access_token'])
  return whole
}

/** Publishes the document of an app. The policy decides on its scope. */
async function publish(client_id: string, metadata: object, api: string): Promise<ClientMetadata> {
  const about = { client_id, client_name: 'App', redirect_uris: ['https://rp.example/cb'] }
  const grant_types = ['authorization_code', 'refresh_token']
  const client = { ...about, grant_types, token_endpoint_auth_method: 'none', ...metadata }
  documents.set(client_id, JSON.stringify(client))
  await allowDocuments(everything, [api])
  return client
}

const allowDocuments = (scopes: string[], resources: string[]) =>
  operate(postern, 'registration-policy set', { name: 'document', rules: { scopes, resources } })

/** Sends a request of a client, authenticated as its current registration requires. */
function ask(client: ClientMetadata, path: string, form: Record<string, string>): Promise<Answer> {
  const isPublic = client['token_endpoint_auth_method'] === 'none'
  return send(postern, path, isPublic ? { form: { client_id: client.client_id, ...form } } : { client, form })
}

const credentials = ({ client, api }: Holder, asked = ofApi.join(' ')) =>
  ask(client, '/oauth/token', { grant_type: 'client_credentials', resource: api, scope: asked })

async function refresh(holder: Holder, form: Record<string, string> = {}): Promise<Answer> {
  const { client, tokens } = holder
  const answer = await ask(client, '/oauth/token', {
    grant_type: 'refresh_token',
    refresh_token: tokens.refresh,
    ...form,
  })
  tokens.refresh = String(answer.json['refresh_token'] ?? tokens.refresh)
  return answer
}

/** Returns the granted scopes of an answer. An error names a scope too. */
const scopesOf = ({ json }: Answer): string[] => (json['error'] ? [] : String(json['scope'] ?? '').split(' '))
const introspect = (client: ClientMetadata, token: string) => ask(client, '/oauth/introspect', { token })

/** Returns the scopes whose claims userinfo returns. */
async function userinfo(token: string): Promise<string[]> {
  const { headers, json, text } = await send(postern, '/oauth/userinfo', { bearer: token })
  const claims = headers.get('content-type')?.startsWith('application/jwt') ? decodeJwt(text) : json
  const byClaim = { sub: 'openid', name: 'profile', email: 'email' }
  return Object.entries(byClaim).flatMap(([claim, name]) => (claim in claims ? [name] : []))
}

type Use = {
  /** The scopes that are visible in this use, out of all. */
  shows: string[]
  of(holder: Holder): Promise<string[]>
  metadata?: Record<string, unknown>
}

// biome-ignore format: it is a table
const uses: Record<string, Use> = {
  'a refreshed token':                        { shows: people.slice(0, 3), of: async (holder) => scopesOf(await refresh(holder, ofPeople)) },
  'a refreshed token at userinfo':            { shows: people.slice(0, 3), of: async (holder) => userinfo(String((await refresh(holder, ofPeople)).json['access_token'])) },
  'a refreshed token that names no API':      { shows: ofApi, of: async (holder) => scopesOf(await refresh(holder)) },
  'a refreshed token for the API':            { shows: ofApi, of: async (holder) => scopesOf(await refresh(holder, { resource: holder.api })) },
  'userinfo':                                 { shows: people.slice(0, 3), of: ({ tokens }) => userinfo(tokens.userinfo) },
  'userinfo as a JWT':                        { shows: people.slice(0, 3), of: ({ tokens }) => userinfo(tokens.userinfo), metadata: { userinfo_signed_response_alg: 'RS256' } },
  'introspection of it by the client':        { shows: people.slice(0, 3), of: async ({ client, tokens }) => scopesOf(await introspect(client, tokens.userinfo)) },
  'introspection for the API by the client':  { shows: ofApi, of: async ({ client, tokens }) => scopesOf(await introspect(client, tokens.api)) },
  'introspection for the API by the API':     { shows: ofApi, of: async ({ owner, tokens }) => scopesOf(await introspect(owner, tokens.api)) },
  'introspection of the refresh token':       { shows: everything, of: async ({ client, tokens }) => scopesOf(await introspect(client, tokens.refresh)) },
  'client credentials':                       { shows: ofApi, of: async (holder) => (await Promise.all(ofApi.map((name) => credentials(holder, name)))).flatMap(scopesOf) },
  'introspection of the token of a machine':  { shows: ofApi, of: async ({ owner, tokens }) => scopesOf(await introspect(owner, tokens.machine)) },
}

const ofMachines = ['client credentials', 'introspection of the token of a machine']
const ofRefreshing = Object.keys(uses).filter((name) => /refresh/.test(name))

type Operation = { lost: string[]; uses?: string[]; by(holder: Holder): Promise<unknown> }

const update = ({ client }: Holder, changes: object) =>
  operate(postern, 'client update', { client_id: client.client_id, ...changes })
const recreate = async ({ api, owner }: Holder) => {
  await operate(postern, 'resource delete', { identifier: api })
  heard()
  await operate(postern, 'resource create', { identifier: api, scopes: apiScopes, client_id: owner.client_id })
}

/** Shows the consent page to the person again, who allows less than before. */
async function narrowConsent({ config, visitor, api }: Holder): Promise<void> {
  const request = { issuer: postern.issuer, visitor, scope, resource: api, prompt: 'consent' }
  const { page } = await beginLogin(config, request)
  const ticked = { scope: ['openid', 'offline_access'], resource_scope: `${api} read` }
  const { url } = await visitor.submit(page, '/consent', { decision: 'allow', ...ticked })
  expect(url).toContain('code=')
}

async function downgrade(holder: Holder): Promise<void> {
  const changes = { token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] }
  await update(holder, changes)
  holder.client = { ...holder.client, ...changes }
}

const without = (names: string[]) => Object.keys(uses).filter((name) => !names.includes(name))

// biome-ignore format: it is a table
const operations: Record<string, Operation> = {
  'the client is registered for less':        { lost: ['profile', 'email', 'write'], by: (holder) => update(holder, { scope: 'openid offline_access read' }) },
  'the client has no scopes about people':    { lost: people, uses: without(ofRefreshing), by: (holder) => update(holder, { scope: 'read write' }) },
  'the client may no longer refresh':         { lost: everything, uses: ofRefreshing, by: (holder) => update(holder, { scope: everything.filter((name) => name !== 'offline_access').join(' ') }) },
  'the client is registered for another API': { lost: ofApi, by: (holder) => update(holder, { resources: ['https://another.example/'] }) },
  'the person allows less':                   { lost: ['profile', 'email', 'write'], uses: without(ofMachines), by: narrowConsent },
  'the API loses a scope':                    { lost: ['write'], by: ({ api }) => operate(postern, 'resource update', { identifier: api, scopes: { read: 'Read' } }) },
  'the API is deleted':                       { lost: ofApi, by: ({ api }) => operate(postern, 'resource delete', { identifier: api }) },
  'the API is deleted and registered again':  { lost: ofApi, uses: without(['client credentials']), by: recreate },
  'the client becomes public':                { lost: everything, by: downgrade },
}

/** Every use that shows the effect of an operation: the lost scopes are there before it, and gone after it. */
const matrix = Object.entries(operations).flatMap(([operation, { lost, uses: some = Object.keys(uses) }]) =>
  some
    .map((use) => [operation, use, lost.filter((name) => uses[use]?.shows.includes(name))] as const)
    .filter(([, , gone]) => gone.length > 0),
)

async function expectGone(holder: Holder, use: Use, operation: Operation, gone: readonly string[]): Promise<void> {
  expect(await use.of(holder)).toEqual(expect.arrayContaining([...gone]))
  await operation.by(holder)
  heard()
  const left = await use.of(holder)
  expect(left.filter((name) => gone.includes(name))).toEqual([])
  const untouched =
    operation.lost.length < everything.length ? use.shows.filter((name) => !operation.lost.includes(name)) : []
  expect(left).toEqual(expect.arrayContaining(untouched))
}

describe.each(Object.keys(operations))('once %s', (name) => {
  const own = matrix.filter(([operation]) => operation === name)
  test.each(own)('(%s) %s no longer has %j', async (_name, useName, gone) => {
    const use = uses[useName] as Use
    const operation = operations[name] as Operation
    await expectGone(await createHolder(use.metadata ?? {}, 'registered'), use, operation, gone)
  })
})

describe('once the policy for documents allows less', () => {
  const lost = ['profile', 'email', 'write']
  const ofDocuments = without([
    ...ofMachines,
    ...Object.keys(uses).filter((name) => /by the client|of the refresh/.test(name)),
  ])
  const operation: Operation = { lost, by: ({ api }) => allowDocuments(['openid', 'offline_access', 'read'], [api]) }

  test.each(ofDocuments)('%s has less', async (useName) => {
    const use = uses[useName] as Use
    const holder = await createHolder(use.metadata ?? {}, 'document')
    await expectGone(
      holder,
      use,
      operation,
      lost.filter((name) => use.shows.includes(name)),
    )
  })

  test.each(['a refreshed token for the API', 'introspection for the API by the API'])(
    '%s has no API',
    async (useName) => {
      const use = uses[useName] as Use
      const holder = await createHolder({}, 'document')
      const noApi = { lost: ofApi, by: () => allowDocuments(everything, []) }
      await expectGone(holder, use, noApi, ofApi)
    },
  )
})

describe('a narrowed grant', () => {
  test('returns to its full extent when the registration does, since no person withdrew it', async () => {
    const holder = await createHolder({}, 'registered')
    await update(holder, { scope: 'openid offline_access' })
    heard()
    expect(scopesOf(await refresh(holder, ofPeople))).not.toContain('email')
    await update(holder, { scope })
    heard()
    expect(scopesOf(await refresh(holder, ofPeople))).toContain('email')
  })

  test('can still be revoked: a token that lost every scope does not come back (RFC 7009 §2)', async () => {
    const holder = await createHolder({}, 'registered')
    await update(holder, { scope: 'openid' })
    heard()
    await ask(holder.client, '/oauth/revoke', { token: holder.tokens.api })
    await update(holder, { scope })
    heard()
    expect((await introspect(holder.owner, holder.tokens.api)).json).toEqual({ active: false })
  })
})

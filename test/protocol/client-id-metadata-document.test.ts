import type { OutgoingHttpHeaders } from 'node:http'
import { createServer, type Server } from 'node:https'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificate } from '../support/certificate.ts'
import { eventually } from '../support/eventually.ts'
import { idTokenAlg, idTokenMetadata } from '../support/id-tokens.ts'
import { createListener, type Listener } from '../support/listener.ts'
import { operate } from '../support/operator.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { type Fetch, fetchAt } from '../support/processes.ts'
import { beginLogin, completeLogin } from '../support/relying-party.ts'
import { createVisitor, type Visitor } from '../support/visitor.ts'
import { createKey, send } from '../support/wire.ts'

// draft-ietf-oauth-client-id-metadata-document-02

const issuer = 'https://id.example'
const redirect_uris = ['https://rp.example/cb']
let postern: TestPostern
/** A web server of app developers. */
let web: { server: Server; host: string; received: string[] }
/** An internal port that no setting names. */
let inside: Listener
const published = new Map<string, { status?: number; headers?: OutgoingHttpHeaders; body: string }>()
let documents = 0
let people = 0
const authorities = getCACertificates('default')

beforeAll(async () => {
  const certificate = createCertificate()
  // The provider runs in this process. Outside of tests it would be started with NODE_EXTRA_CA_CERTS.
  setDefaultCACertificates([...authorities, certificate.cert])
  const received: string[] = []
  const server = createServer(certificate, (req, res) => {
    received.push(String(req.url))
    const { status = 200, headers, body } = published.get(String(req.url)) ?? { status: 404, body: '' }
    res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()))
  web = { server, host: `localhost:${port}`, received }
  inside = await createListener()
  postern = await startPostern({
    ISSUER: issuer,
    CLIENT_ID_METADATA_DOCUMENTS: `${web.host}, localhost:${inside.port}`,
    EGRESS_PRIVATE_HOSTS: web.host,
    TRUSTED_PROXIES: '127.0.0.1',
  })
})
afterAll(async () => {
  await postern?.stop()
  web?.server.close()
  await inside?.stop()
  setDefaultCACertificates(authorities)
})

/** Publishes a document, or replaces the one at an address, and returns its address. */
function publish(
  metadata: Record<string, unknown> = {},
  {
    at = `https://${web.host}/apps/${++documents}`,
    ...answer
  }: { at?: string; status?: number; headers?: OutgoingHttpHeaders } = {},
): string {
  const body = JSON.stringify({
    client_id: at,
    client_name: 'Field Notes',
    redirect_uris,
    ...idTokenMetadata,
    ...metadata,
  })
  published.set(new URL(at).pathname, { ...answer, body })
  return at
}

const restart = () => postern.restart()

/** Sends requests from a new network each time, unless an address is given. */
function from(address = `198.51.100.${++people % 250}`): Fetch {
  return (input, init) => {
    const request = new Request(input, init)
    request.headers.set('x-forwarded-for', address)
    return fetchAt(postern.config.PORT)(request)
  }
}

/** Starts an authorization request as a browser does, and returns the status and text of the page. */
async function ask(client_id: string, fetch = from()): Promise<{ status: number; said: string }> {
  const query = new URLSearchParams({
    client_id,
    response_type: 'code',
    scope: 'openid',
    redirect_uri: redirect_uris[0] ?? '',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGjSstw_cM',
    code_challenge_method: 'S256',
  })
  const { status, body } = await createVisitor(issuer, { fetch }).get(`/oauth/authorize?${query}`)
  return { status, said: textOf(body) }
}

const textOf = (html: string) =>
  html
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"')
    .replace(/\s+/g, ' ')
const isAsked = { status: 200, said: expect.stringContaining('Sign in to continue to') }
const refusedFor = (reason: string, { status = 400, error = 'invalid_client' } = {}) => ({
  status,
  said: expect.stringMatching(new RegExp(`${error}.*${reason.replace(/[().]/g, '\\$&')}`)),
})

async function configure(client_id: string, authentication = oidc.None()): Promise<oidc.Configuration> {
  const options = { [oidc.customFetch]: from() as oidc.CustomFetch, execute: [oidc.enableNonRepudiationChecks] }
  return oidc.discovery(
    new URL(issuer),
    client_id,
    { id_token_signed_response_alg: idTokenAlg },
    authentication,
    options,
  )
}

type Person = { email: string; visitor: Visitor }

async function createPerson(): Promise<Person> {
  const email = `person${++people}@example.com`
  await postern.createAccount(email)
  return { email, visitor: createVisitor(issuer, { fetch: from() }) }
}

async function login(
  client_id: string,
  { email, visitor }: Person,
  parameters: Record<string, unknown> = {},
  authentication?: oidc.ClientAuth,
  tokenParameters: Record<string, string> = {},
) {
  const config = await configure(client_id, authentication)
  const begun = await beginLogin(config, { issuer, visitor, ...parameters })
  const callback = await completeLogin(begun, email)
  const checks = { pkceCodeVerifier: begun.verifier, expectedNonce: begun.nonce, expectedState: begun.state }
  const tokens = await oidc.authorizationCodeGrant(config, callback, checks, tokenParameters)
  return { config, tokens, page: begun.page }
}

const auditOf = (client_id: string) =>
  postern.database.query(
    'select type, actor, details from audit_events where client_id = $1 and type like $2 order by id',
    [client_id, 'client.%'],
  )

describe('§3: a client whose ID is the address of its metadata', () => {
  test('gets and refreshes tokens, and needs no second consent at the next login', async () => {
    const client_id = publish({ grant_types: ['authorization_code', 'refresh_token'] })
    const person = await createPerson()
    const scope = 'openid email offline_access'
    const { config, tokens } = await login(client_id, person, { scope, prompt: 'consent' })
    expect(tokens.claims()).toMatchObject({ aud: client_id })
    const refreshed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
    expect(refreshed.refresh_token).not.toBe(tokens.refresh_token)
    const again = await login(client_id, person, { scope: 'openid email' })
    expect(again.page.url).toMatch(/^https:\/\/rp\.example\/cb\?code=/)
  })

  test('authenticates with the key in its document (§8.2)', async () => {
    const { key, jwks } = await createKey()
    const client_id = publish({ token_endpoint_auth_method: 'private_key_jwt', jwks })
    const { tokens } = await login(client_id, await createPerson(), {}, oidc.PrivateKeyJwt({ key, kid: 'k1' }))
    expect(tokens.claims()).toMatchObject({ aud: client_id })
    const other = await createKey()
    const stranger = login(client_id, await createPerson(), {}, oidc.PrivateKeyJwt({ key: other.key, kid: 'k1' }))
    await expect(stranger).rejects.toMatchObject({ error: 'invalid_client' })
  })

  test('may use any port of the loopback interface without being declared a native app (RFC 8252 §7.3)', async () => {
    const client_id = publish({ redirect_uris: ['http://localhost/callback'] })
    const begun = await beginLogin(await configure(client_id), {
      issuer,
      visitor: createVisitor(issuer, { fetch: from() }),
      redirect_uri: 'http://localhost:33418/callback',
    })
    expect(begun.page.body).toContain('name="password"')
  })

  test.each([
    ['http', () => publish().replace('https:', 'http:')],
    ['a fragment', () => `${publish()}#here`],
    ['a query', () => `${publish()}?json=1&x=octet`],
    ['an empty query', () => `${publish()}?`],
    ['user information', () => publish().replace('https://', 'https://claude.ai@')],
    ['dot segments', () => publish().replace('/apps/', '/apps/../apps/')],
    ['percent-encoded dot segments', () => publish().replace('/apps/', '/apps/%2e%2E/apps/')],
    ['another spelling of its host', () => publish().replace('localhost', 'LOCALHOST')],
    ['the default port', () => 'https://localhost:443/app'],
    ['no path', () => `https://${web.host}`],
    ['more than 2048 characters', () => publish({}, { at: `https://${web.host}/${'a'.repeat(2_048)}` })],
  ])('is rejected with %s in its address', async (_what, address) => {
    const fetched = web.received.length
    expect(await ask(address())).toMatchObject(refusedFor(''))
    expect(web.received.length).toBe(fetched)
  })

  test('is rejected at a host that the settings do not name', async () => {
    const client_id = 'https://elsewhere.example/app'
    expect(await ask(client_id)).toMatchObject(refusedFor('client ids at elsewhere.example are not accepted here'))
    expect(await ask(publish().replace(/:\d+/, ''))).toMatchObject(
      refusedFor('client ids at localhost are not accepted'),
    )
  })
})

describe('§4: a document', () => {
  test.each<[what: string, metadata: Record<string, unknown>, reason: string]>([
    ['of another client', { client_id: 'https://claude.ai/app' }, 'another client_id than its address'],
    ['with a secret', { client_secret: 'x'.repeat(48) }, 'must not contain client_secret'],
    ['with an expiry of a secret', { client_secret_expires_at: 0 }, 'must not contain client_secret_expires_at'],
    ['with client_secret_basic', { token_endpoint_auth_method: 'client_secret_basic' }, 'shared secret'],
    ['with client_secret_post', { token_endpoint_auth_method: 'client_secret_post' }, 'shared secret'],
    ['with client_secret_jwt', { token_endpoint_auth_method: 'client_secret_jwt' }, 'shared secret'],
    [
      'that needs another fetch',
      { sector_identifier_uri: 'https://rp.example/s' },
      'must not contain sector_identifier_uri',
    ],
    ['for client_credentials', { grant_types: ['client_credentials'] }, 'grant_types may only be'],
    ['for a scope of an API', { scope: 'openid tools' }, 'scope must not include tools (scopes)'],
    ['for a scope of the admin API', { scope: 'postern:clients' }, 'scope must not include postern:clients (scopes)'],
    ['of a first-party client', { first_party: true }, 'first_party can only be set by an administrator'],
    [
      'with a redirect URI over plain http',
      { redirect_uris: ['http://rp.example/cb'] },
      'redirect_uris must use https',
    ],
    ['that is not client metadata', { redirect_uris: 'https://rp.example/cb' }, 'redirect_uris'],
    ['with a private key', { jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'd' }] } }, 'is refused'],
    ['longer than 5 kB', { client_uri: `https://rp.example/${'a'.repeat(5_120)}` }, 'is longer than 5120 bytes'],
  ])('%s is rejected', async (_what, metadata, reason) => {
    const client_id = publish(metadata)
    expect(await ask(client_id)).toMatchObject(refusedFor(reason))
    expect(await auditOf(client_id)).toEqual([])
  })

  test.each<[what: string, body: string]>([
    ['empty', ''],
    ['not JSON', '<!doctype html>'],
    ['not an object', '[]'],
    ['null', 'null'],
  ])('that is %s is rejected', async (_what, body) => {
    const client_id = publish()
    published.set(new URL(client_id).pathname, { body })
    expect(await ask(client_id)).toMatchObject(refusedFor('is not a JSON object'))
  })

  test.each<[what: string, headers: OutgoingHttpHeaders]>([
    ['as text', { 'content-type': 'text/plain' }],
    ['as a page', { 'content-type': 'text/html; charset=utf-8' }],
    [
      'as a download',
      { 'content-type': 'application/octet-stream', 'content-disposition': 'attachment; filename=client.json' },
    ],
  ])('that is served %s, like a file that anyone stored there, is rejected', async (_what, headers) => {
    const client_id = publish({}, { headers })
    expect(await ask(client_id)).toMatchObject(refusedFor('must be served as application/json'))
    expect(await auditOf(client_id)).toEqual([])
  })

  test('may be served as a more specific kind of JSON', async () => {
    const headers = { 'content-type': 'application/oauth-client+json' }
    expect(await ask(publish({}, { headers }))).toMatchObject(isAsked)
  })

  test('may have API scopes if the policy lists them', async () => {
    await operate(postern, 'registration-policy set', { name: 'document', rules: { scopes: ['openid', 'tools'] } })
    await restart() // instead of a wait of five seconds
    try {
      expect(await ask(publish({ scope: 'openid tools' }))).toMatchObject(isAsked)
      expect(await ask(publish({ scope: 'openid email' }))).toMatchObject(refusedFor('scope must not include email'))
    } finally {
      await operate(postern, 'registration-policy delete', { name: 'document' })
      await restart()
    }
  })
})

describe('§5: a document that cannot be read', () => {
  test.each<[what: string, answer: { status: number; headers?: OutgoingHttpHeaders }]>([
    ['is a redirect', { status: 302, headers: { location: 'https://localhost/elsewhere' } }],
    ['is not found', { status: 404 }],
    ['has no content', { status: 204 }],
    ['fails', { status: 500 }],
  ])('because it %s makes no client', async (_what, answer) => {
    expect(await ask(publish({}, answer))).toMatchObject(refusedFor('could not be fetched'))
    expect(web.received).not.toContain('/elsewhere')
  })

  test('gets no connection at an internal address, although its host is accepted (§8.6)', async () => {
    expect(await ask(`https://localhost:${inside.port}/app`)).toMatchObject(refusedFor('could not be fetched'))
    expect(inside.connections).toBe(0)
  })

  test('is fetched again each time: a failure is not cached (§5.2)', async () => {
    const client_id = publish({ client_id: 'https://claude.ai/app' })
    const { pathname } = new URL(client_id)
    const count = () => web.received.filter((path) => path === pathname).length
    expect(await ask(client_id)).toMatchObject(refusedFor('another client_id'))
    expect(count()).toBe(1)
    publish({}, { at: client_id })
    expect(await ask(client_id)).toMatchObject(isAsked)
    expect(count()).toBe(2)
  })

  test('is fetched once for many requests, and again after its cache lifetime', async () => {
    const client_id = publish()
    const { pathname } = new URL(client_id)
    const count = () => web.received.filter((path) => path === pathname).length
    const fetch = from()
    await Promise.all(Array.from({ length: 10 }, () => ask(client_id, fetch)))
    await ask(client_id)
    expect(count()).toBe(1)
    expect(await auditOf(client_id)).toEqual([
      { type: 'client.registered', actor: 'anonymous', details: { policy: 'document' } },
    ])
    await restart()
    await ask(client_id)
    expect(count()).toBe(2)
    expect(await auditOf(client_id)).toHaveLength(1)
  })

  test('stops its client, but not an API that introspects its tokens', async () => {
    const api = await postern.createClient({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })
    const identifier = `https://api.example/${++documents}`
    await operate(postern, 'resource create', {
      identifier,
      name: 'API',
      scopes: { read: 'Read' },
      client_id: api.client_id,
    })
    await operate(postern, 'registration-policy set', {
      name: 'document',
      rules: { scopes: ['openid', 'read', 'offline_access'], resources: [identifier] },
    })
    await restart()
    try {
      const client_id = publish({ grant_types: ['authorization_code', 'refresh_token'] })
      const { config, tokens } = await login(
        client_id,
        await createPerson(),
        { scope: 'openid read offline_access', prompt: 'consent', resource: identifier },
        undefined,
        { resource: identifier },
      )
      publish({}, { at: client_id, status: 500 })
      await restart()
      const fetched = web.received.length
      const asking = await oidc.discovery(new URL(issuer), api.client_id, String(api['client_secret']), undefined, {
        [oidc.customFetch]: from() as oidc.CustomFetch,
      })
      expect(await oidc.tokenIntrospection(asking, tokens.access_token)).toMatchObject({ active: true, client_id })
      expect(web.received.length).toBe(fetched)
      expect(await ask(client_id)).toMatchObject(refusedFor('could not be fetched'))
      await expect(oidc.refreshTokenGrant(config, String(tokens.refresh_token))).rejects.toMatchObject({
        error: 'invalid_client',
      })
    } finally {
      await operate(postern, 'registration-policy delete', { name: 'document' })
      await restart()
    }
  })

  test('is fetched only so often per hour for one network, without any effect on other networks', async () => {
    const stranger = from('192.0.2.7')
    const known = publish()
    expect(await ask(known, stranger)).toMatchObject(isAsked)
    const addresses = Array.from({ length: 29 }, (_, n) => publish({ client_id: `other ${n}` }))
    while (addresses.length > 0) {
      // Not more at once than the pool of the database has connections: none of them waits for one, or gives up.
      await Promise.all(addresses.splice(0, 6).map((client_id) => ask(client_id, stranger)))
    }
    const client_id = publish()
    const fetched = web.received.length
    expect(await ask(client_id, stranger)).toMatchObject(
      refusedFor('too many', { status: 429, error: 'temporarily_unavailable' }),
    )
    expect(web.received.length).toBe(fetched)
    expect(await ask(client_id, from('192.0.2.8'))).toMatchObject(isAsked)
    await restart()
    expect(await ask(known, stranger)).toMatchObject(isAsked) // a known client is not counted
  })
})

describe('§8.4: a document that changes', () => {
  test.each<[what: string, change: Record<string, unknown>]>([
    ['its name', { client_name: 'Claude' }],
    ['its redirect URIs', { redirect_uris: [...redirect_uris, 'https://other.example/cb'] }],
  ])('has people asked again, and is recorded: %s', async (_what, change) => {
    const client_id = publish()
    const person = await createPerson()
    await login(client_id, person)
    publish(change, { at: client_id })
    await restart()
    const uris = (change['redirect_uris'] ?? redirect_uris) as string[]
    const { page } = await beginLogin(await configure(client_id), {
      issuer,
      visitor: person.visitor,
      redirect_uri: uris.at(-1),
    })
    expect(page.body).toContain('asks for access to your account')
    expect((await auditOf(client_id)).map(({ type }) => type)).toEqual(['client.registered', 'client.updated'])
    expect(await operate(postern, 'client show', { client_id })).toMatchObject({ registered_by: 'document', ...change })
  })

  test('disables its client if it becomes invalid', async () => {
    const client_id = publish()
    const person = await createPerson()
    await login(client_id, person)
    publish({ grant_types: ['client_credentials'] }, { at: client_id })
    await restart()
    expect(await ask(client_id)).toMatchObject(refusedFor('grant_types may only be'))
  })
})

describe('an administrator', () => {
  test('can disable such a client and its tokens, and enable it again', async () => {
    const client_id = publish()
    const person = await createPerson()
    const { config, tokens } = await login(client_id, person)
    await operate(postern, 'client disable', { client_id })
    await eventually(async () => expect(await ask(client_id)).toMatchObject(refusedFor('is disabled or was deleted')))
    await expect(oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck)).rejects.toThrow()
    publish({ client_name: 'Another name' }, { at: client_id })
    await restart()
    const fetched = web.received.length
    expect(await ask(client_id)).toMatchObject(refusedFor('is disabled or was deleted'))
    expect(web.received.length).toBe(fetched)
    await operate(postern, 'client enable', { client_id })
    expect(await ask(client_id)).toMatchObject(isAsked)
  })

  test('can delete such a client permanently, together with its grants', async () => {
    const client_id = publish()
    await login(client_id, await createPerson())
    await operate(postern, 'client delete', { client_id })
    for (const table of ['grants', 'artifacts']) {
      expect(await postern.database.query(`select 1 from ${table} where client_id = $1`, [client_id])).toEqual([])
    }
    await eventually(async () => expect(await ask(client_id)).toMatchObject(refusedFor('is disabled or was deleted')))
    await restart()
    expect(await ask(client_id)).toMatchObject(refusedFor('is disabled or was deleted'))
  })

  test('cannot change such a client, since its document describes it', async () => {
    const client_id = publish()
    await ask(client_id)
    const change = operate(postern, 'client update', { client_id, client_name: 'Something else' })
    await expect(change).rejects.toThrow(`The client ${client_id} is defined by its document; change it there.`)
  })

  test('can limit their number with the policy', async () => {
    const { count } = (
      await postern.database.query('select count(*)::int from clients where policy = $1 and deleted_at is null', [
        'document',
      ])
    )[0] as { count: number }
    const known = publish()
    await ask(known)
    await operate(postern, 'registration-policy set', { name: 'document', rules: { max_clients: count + 1 } })
    await restart()
    try {
      expect(await ask(publish())).toMatchObject(refusedFor('max_clients'))
      expect(await ask(known)).toMatchObject(isAsked)
    } finally {
      await operate(postern, 'registration-policy delete', { name: 'document' })
      await restart()
    }
  })
})

describe('§6: the metadata of the server', () => {
  const paths = ['openid-configuration', 'oauth-authorization-server'].map((name) => `/.well-known/${name}`)

  test('states that documents are accepted', async () => {
    for (const path of paths) {
      const metadata = await (await from()(`${issuer}${path}`)).json()
      expect(metadata).toMatchObject({
        client_id_metadata_document_supported: true,
        authorization_response_iss_parameter_supported: true,
        code_challenge_methods_supported: ['S256'],
        registration_endpoint: `${issuer}/oauth/register`,
      })
    }
  })

  test('does not mention documents if they are not accepted, and then none is fetched', async () => {
    const closed = await startPostern({ EGRESS_PRIVATE_HOSTS: web.host })
    try {
      for (const path of paths) {
        expect((await send(closed, path)).json).not.toHaveProperty('client_id_metadata_document_supported')
      }
      const fetched = web.received.length
      const query = new URLSearchParams({ client_id: publish(), response_type: 'code', scope: 'openid' })
      const { status, text } = await send(closed, `/oauth/authorize?${query}`)
      expect([status, textOf(text)]).toEqual([400, expect.stringContaining('invalid_client')])
      expect(web.received.length).toBe(fetched)
    } finally {
      await closed.stop()
    }
  })
})

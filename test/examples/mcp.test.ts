import { createServer, type Server } from 'node:https'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificate } from '../support/certificate.ts'
import { operate } from '../support/operator.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { createToken, registered } from '../support/registration.ts'
import { login } from '../support/relying-party.ts'
import { run, stopAll } from './example.ts'
import { createPerson } from './mcp-person.ts'
import { openTo, register, startMcpServer } from './mcp-server.ts'

const other = 'https://other.example/mcp'
const redirect_uris = ['http://127.0.0.1/callback', 'http://localhost/callback']
const metadata = { client_name: 'Notes', redirect_uris, grant_types: ['authorization_code', 'refresh_token'] }
let mcp: string
let open: TestPostern
/** The web server of an app's developers, with the metadata document of the app. */
let web: { server: Server; document: string; received: string[] }
let people = 0

beforeAll(async () => {
  web = await publish()
  const { host } = new URL(web.document)
  open = await startPostern({
    OPEN_REGISTRATION: 'true',
    OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR: '100',
    CLIENT_ID_METADATA_DOCUMENTS: host,
    EGRESS_PRIVATE_HOSTS: host,
  })
  await register(open, other)
  mcp = await startMcpServer(open)
  for (const policy of ['open', 'document']) await openTo(open, policy, mcp)
})
afterAll(async () => {
  await stopAll()
  await open?.stop()
  web?.server.close()
})

/** Publishes the document on a web server. */
async function publish(): Promise<typeof web> {
  const certificate = createCertificate()
  // The provider runs in this process. Outside of tests it would be started with NODE_EXTRA_CA_CERTS.
  setDefaultCACertificates([...getCACertificates('default'), certificate.cert])
  const received: string[] = []
  const port = await freePort()
  const document = `https://localhost:${port}/apps/notes`
  const server = createServer(certificate, (req, res) => {
    received.push(String(req.url))
    const body = { client_id: document, token_endpoint_auth_method: 'none', ...metadata }
    res.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()))
  return { server, document, received }
}

/** Creates a person with an account who has not used the client yet. */
async function person(options: Parameters<typeof createPerson>[3] = {}) {
  const email = `person-${++people}@example.com`
  await open.createAccount(email)
  return createPerson(open.issuer, mcp, email, options)
}

/** Sends a request to the server and returns the answer as it is on the wire. */
async function send(token: string, body: unknown = { jsonrpc: '2.0', id: 1, method: 'tools/list' }) {
  const response = await fetch(mcp, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify(body),
  })
  return { status: response.status, challenge: response.headers.get('www-authenticate'), text: await response.text() }
}

describe.each([
  ['that registers itself (RFC 7591)', () => ({})],
  ['whose client_id is the address of its metadata', () => ({ clientMetadataUrl: web.document })],
])('an MCP client %s', (_title, options) => {
  test('learns where to get a token, requests it, and uses the tools', async () => {
    const ada = await person(options())
    await ada.connect()
    expect(await ada.use('list_notes')).toBe('No notes.')
    expect(await ada.use('add_note', { text: 'Buy milk' })).toBe('You have 1 notes.')
    expect(await ada.use('list_notes')).toBe('Buy milk')

    const { origin } = new URL(mcp)
    const registers = `POST ${open.issuer}/oauth/register`
    const first = [
      `POST ${mcp}`,
      `GET ${origin}/.well-known/oauth-protected-resource/mcp`, // RFC 9728 §3.1
      `GET ${open.issuer}/.well-known/oauth-authorization-server`, // RFC 8414 §3
      ...('clientMetadataUrl' in options() ? [] : [registers]),
    ]
    expect(ada.requests.slice(0, first.length)).toEqual(first)
    expect(ada.requests.filter((sent) => sent === registers)).toHaveLength(first.length - 3)
    expect(ada.consents).toEqual([['offline_access', 'notes:read', 'notes:write']])
    expect(ada.answers[0]?.searchParams.get('iss')).toBe(open.issuer) // RFC 9207 §2
  })

  test('gets a token for that server only (RFC 8707 §2.2), which contains its client_id', async () => {
    const ada = await person(options())
    await ada.connect()
    const { client_id } = (await ada.provider.clientInformation()) ?? {}
    const token = await ada.token()
    expect(token).toMatchObject({ iss: open.issuer, aud: mcp, client_id, scope: 'notes:read notes:write' })
    if ('clientMetadataUrl' in options()) expect(client_id).toBe(web.document)
    else expect(client_id).toMatch(/^[\w-]{43}$/)
  })

  test('gets no scope that was unticked, and a tool that needs it makes it ask again', async () => {
    const unticked = ['notes:write', 'offline_access']
    const ada = await person({ ...options(), unticked })
    await ada.connect()
    expect(await ada.token()).toMatchObject({ scope: 'notes:read' })
    expect(await ada.provider.tokens()).not.toHaveProperty('refresh_token')
    expect(await ada.use('list_notes')).toBe('No notes.')
    await expect(ada.use('add_note', { text: 'Buy milk' })).rejects.toThrow('403 after trying upscoping')
    expect(ada.consents.slice(1)).toEqual([['notes:read', 'notes:write']])
    expect(ada.ticked.slice(1)).toEqual([['notes:read']])
    expect(await ada.use('list_notes')).toBe('No notes.')
    unticked.length = 0
    expect(await ada.use('add_note', { text: 'Buy milk' })).toBe('You have 1 notes.')
  })

  test('that requested less requests more when a tool needs it, and the person is asked only for the addition', async () => {
    const ada = await person({
      ...options(),
      narrow(asked) {
        if (asked.searchParams.get('scope')?.includes('offline_access')) {
          asked.searchParams.set('scope', 'notes:read')
          asked.searchParams.delete('prompt')
        }
      },
    })
    await ada.connect()
    expect(await ada.token()).toMatchObject({ scope: 'notes:read' })
    expect(await ada.use('add_note', { text: 'Buy milk' })).toBe('You have 1 notes.')
    expect(ada.asked.map(({ searchParams }) => searchParams.get('scope'))).toEqual([
      'notes:read',
      'notes:read notes:write',
    ])
    expect(ada.consents).toEqual([['notes:read'], ['notes:write']])
    expect(await ada.token()).toMatchObject({ aud: mcp, scope: 'notes:read notes:write' })
    expect(await ada.use('list_notes')).toBe('Buy milk')
  })

  test('refreshes its token when it has expired, and asks nobody', async () => {
    const ada = await person(options())
    await ada.connect()
    const before = await ada.provider.tokens()
    if (!before) throw new Error('there are no tokens')
    await ada.provider.saveTokens({ ...before, access_token: 'expired' })
    expect(await ada.use('list_notes')).toBe('No notes.')
    const after = await ada.provider.tokens()
    expect(after?.refresh_token).not.toBe(before.refresh_token)
    expect(await ada.token()).toMatchObject({ aud: mcp, scope: 'notes:read notes:write' })
    expect(ada.asked).toHaveLength(1)
  })
})

describe('the MCP server', () => {
  test('rejects a token for another resource of the same person and client', async () => {
    const client = await open.createClient()
    await open.createAccount('grace@example.com')
    const scope = 'openid notes:read notes:write'
    const tokenFor = async (resource: string) => {
      const request = { email: 'grace@example.com', scope, resource, tokenParameters: { resource } }
      return (await login(open, client, request)).tokens.access_token
    }
    expect(await send(await tokenFor(mcp))).toMatchObject({ status: 200 })
    const refused = await send(await tokenFor(other))
    expect(refused).toMatchObject({ status: 401, challenge: expect.stringContaining('error="invalid_token"') })
  })

  test('names the scopes that a tool needs, even in a batch (RFC 6750 §3.1)', async () => {
    const ada = await person({ unticked: ['notes:write'] })
    await ada.connect()
    const { access_token = '' } = (await ada.provider.tokens()) ?? {}
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add_note', arguments: { text: 'x' } } }
    for (const body of [call, [{ ...call, params: { name: 'list_notes' } }, call]]) {
      const { status, challenge } = await send(access_token, body)
      expect(status).toBe(403)
      expect(challenge).toMatch(/^Bearer .*error="insufficient_scope".*scope="notes:read notes:write"$/)
      expect(challenge).toContain('/.well-known/oauth-protected-resource/mcp"')
    }
    expect(await ada.use('list_notes')).toBe('No notes.')
  })

  test('says what to do when its port is in use', async () => {
    const server = run('examples/mcp-server/main.ts', { PORT: new URL(mcp).port })
    expect(await server.ended).toMatchObject({ code: 1 })
    expect(server.output()).toMatch(/Port \d+ is in use\. Set PORT/)
  })
})

describe('a client', () => {
  test('counts as a native app by its redirect URIs even if it does not declare it (RFC 8252 §7.3)', async () => {
    const ada = await person()
    await ada.connect()
    const { client_id } = (await ada.provider.clientInformation()) ?? {}
    expect(await operate(open, 'client show', { client_id })).toMatchObject({
      application_type: 'native',
      scope: 'notes:read notes:write offline_access',
    })
  })

  test('may register several addresses, on hosts and on loopback, and listen on any free port', async () => {
    const redirect_uris = ['https://app.example/callback', 'http://localhost/callback', 'http://127.0.0.1/callback']
    const ada = await person({
      metadata: { redirect_uris, application_type: 'native' },
      redirectUrl: 'http://127.0.0.1:50123/callback',
    })
    await ada.connect()
    expect(ada.answers[0]?.host).toBe('127.0.0.1:50123')
    expect(await ada.use('list_notes')).toBe('No notes.')
  })

  test('that registered without a scope may request what its policy lists', async () => {
    const { client_id } = await registered(open, undefined, { ...metadata, token_endpoint_auth_method: 'none' })
    const ada = await person({ clientId: client_id })
    await ada.connect()
    expect(ada.consents).toEqual([['offline_access', 'notes:read', 'notes:write']])
    expect(await ada.token()).toMatchObject({ client_id, scope: 'notes:read notes:write' })
  })

  test('that requests more than its policy lists gets only that, and the person is not asked for the rest', async () => {
    await operate(open, 'registration-policy set', {
      name: 'readers',
      rules: { resources: [mcp], scopes: ['offline_access', 'notes:read'] },
    })
    const bearer = await createToken(open, { policy: 'readers' })
    const { client_id } = await registered(open, bearer, { ...metadata, token_endpoint_auth_method: 'none' })
    const ada = await person({ clientId: client_id })
    await ada.connect()
    expect(ada.asked[0]?.searchParams.get('scope')).toBe('notes:read notes:write offline_access')
    expect(ada.consents).toEqual([['offline_access', 'notes:read']])
    expect(await ada.token()).toMatchObject({ client_id, scope: 'notes:read' })
    await expect(ada.use('add_note', { text: 'Buy milk' })).rejects.toThrow('403 after trying upscoping')
  })

  test('is refused until a policy lists the server, with what the policy lacks', async () => {
    await operate(open, 'registration-policy delete', { name: 'open' })
    const ada = await person()
    await expect(ada.connect()).rejects.toThrow('scope must not include notes:read (scopes)')
    await openTo(open, 'open', mcp)
    await ada.connect()
  })
})

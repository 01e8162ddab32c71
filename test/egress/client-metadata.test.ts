import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificate } from '../support/certificate.ts'
import { createListener, type Listener } from '../support/listener.ts'
import { freePort } from '../support/postern.ts'
import { type Fleet, startFleet } from '../support/processes.ts'
import { createKey } from '../support/wire.ts'

const issuer = 'https://id.example'
const redirect_uris = ['https://rp.example/cb']
let key: CryptoKey
let fleet: Fleet
let folder: string
/** The server of a client on the internal network, which is this machine. */
let inner: { server: Server; host: string; received: string[] }
/** A port that the settings do not name, a named one that speaks no TLS, and a named one that is closed. */
let unnamed: Listener
let open: Listener
let closedPort: number

beforeAll(async () => {
  const made = await createKey()
  key = made.key
  const certificate = createCertificate()
  folder = await mkdtemp(join(tmpdir(), 'postern-egress-'))
  await writeFile(join(folder, 'ca.pem'), certificate.cert)

  const received: string[] = []
  const server = createServer(certificate, (req, res) => {
    received.push(`${req.method} ${req.url}`)
    if (req.url === '/jwks') res.end(JSON.stringify(made.jwks))
    else if (req.url === '/sector') res.end(JSON.stringify(redirect_uris))
    else if (req.url === '/elsewhere') res.writeHead(302, { location: `https://localhost:${unnamed.port}/jwks` }).end()
    else res.writeHead(Number(req.url?.slice(1))).end()
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()))
  inner = { server, host: `localhost:${port}`, received }
  unnamed = await createListener()
  open = await createListener({ hangsUp: true })
  closedPort = await freePort()
  fleet = await startFleet(
    {
      ISSUER: issuer,
      EGRESS_PRIVATE_HOSTS: `${inner.host}, localhost:${open.port}, localhost:${closedPort}`,
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
    },
    1,
  )
})
afterAll(async () => {
  await fleet?.stop()
  inner?.server.close()
  await Promise.all([unnamed?.stop(), open?.stop()])
  await rm(folder, { recursive: true, force: true })
})

/** Creates a client with an address in its metadata that it could not be registered with. */
async function createClient(address: Record<string, string>, metadata: Record<string, unknown>): Promise<string> {
  const { client_id } = await fleet.createClient(metadata)
  await fleet.database.query('update clients set metadata = metadata || $2 where id = $1', [client_id, address])
  return client_id
}

type BackchannelClient = { backchannelLogout(sub: string, sid: string): Promise<void> }
type Answered = { status: number; body: string }

/** Authenticates a client by its key (RFC 7523 §2.2), which the server must fetch. */
async function authenticate(jwks_uri: string): Promise<Answered> {
  const client_id = await createClient(
    { jwks_uri },
    {
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      jwks_uri: 'https://rp.example/jwks',
    },
  )
  const client_assertion = await new SignJWT({ aud: issuer, jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .setIssuer(client_id)
    .setSubject(client_id)
    .setIssuedAt()
    .setExpirationTime('1 min')
    .sign(key)
  const response = await fleet.processes[0].fetch(`${issuer}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    }),
  })
  return { status: response.status, body: await response.text() }
}

/** Begins an authorization for a client whose redirect URIs a document lists (OpenID Connect Core §8.1). */
async function authorize(sector_identifier_uri: string): Promise<Answered> {
  const client_id = await createClient({ sector_identifier_uri }, { subject_type: 'pairwise', redirect_uris })
  const query = new URLSearchParams({ client_id, response_type: 'code', scope: 'openid' })
  const response = await fleet.processes[0].fetch(`${issuer}/oauth/authorize?${query}`, {
    headers: { accept: 'application/json' },
  })
  return { status: response.status, body: await response.text() }
}

/** Returns addresses that nobody outside may be able to tell apart. */
const failing = () => [
  `https://localhost:${open.port}/open`,
  `https://localhost:${closedPort}/closed`,
  `https://localhost:${unnamed.port}/forbidden`,
  `https://127.0.0.1:${open.port}/forbidden`,
  `https://[::ffff:127.0.0.1]:${unnamed.port}/forbidden`,
  `https://2130706433:${unnamed.port}/forbidden`,
  'https://10.0.0.1/forbidden',
  'https://169.254.169.254/latest/meta-data/',
  `https://${inner.host}/404`,
  `https://${inner.host}/500`,
  `https://${inner.host}/elsewhere`,
]

describe('a jwks_uri', () => {
  test('at a host named in EGRESS_PRIVATE_HOSTS is fetched, with a certificate that NODE_EXTRA_CA_CERTS trusts', async () => {
    expect(await authenticate(`https://${inner.host}/jwks`)).toMatchObject({ status: 200 })
    expect(inner.received).toEqual(['GET /jwks'])
  })

  test('at any other internal host gets no connection', async () => {
    for (const host of [
      'localhost',
      '127.1',
      '0',
      '0x7f000001',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
    ]) {
      const { status, body } = await authenticate(`https://${host}:${unnamed.port}/jwks`)
      expect([host, status, JSON.parse(body).error]).toEqual([host, 401, 'invalid_client'])
    }
    expect(unnamed.connections).toBe(0)
  })

  test('over http gets no connection, not even at a named host', async () => {
    const before = open.connections
    expect(await authenticate(`http://localhost:${open.port}/jwks`)).toMatchObject({ status: 401 })
    expect(open.connections).toBe(before)
  })

  test('that fails gets the same answer, whatever is there', async () => {
    const answers = await Promise.all(failing().map(authenticate))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`)).size).toBe(1)
    expect(answers[0]).toMatchObject({ status: 401, body: expect.stringContaining('"error":"invalid_client"') })
    expect(unnamed.connections).toBe(0)
  })
})

describe('a sector_identifier_uri', () => {
  test('at a host named in EGRESS_PRIVATE_HOSTS is fetched', async () => {
    expect((await authorize(`https://${inner.host}/sector`)).body).not.toContain('sector_identifier_uri')
    expect(inner.received).toContain('GET /sector')
  })

  test('that fails gets the same answer, whatever is there', async () => {
    const answers = await Promise.all(failing().map(authorize))
    const withoutReference = (body: string) => body.replace(/<dt>Reference<\/dt><dd>.*?<\/dd>/, '')
    expect(new Set(answers.map(({ status, body }) => `${status} ${withoutReference(body)}`)).size).toBe(1)
    expect(answers[0]).toMatchObject({
      status: 400,
      body: expect.stringContaining('could not load sector_identifier_uri'),
    })
    expect(unnamed.connections).toBe(0)
  })
})

describe('a backchannel_logout_uri', () => {
  test('at an internal host gets no connection', async () => {
    for (const host of ['localhost', '127.1', '[::ffff:127.0.0.1]']) {
      const backchannel_logout_uri = `https://${host}:${unnamed.port}/logout`
      const client_id = await createClient({ backchannel_logout_uri }, { backchannel_logout_uri: 'https://rp.example' })
      const client = (await fleet.operator.provider.Client.find(client_id)) as unknown as BackchannelClient
      await expect(client.backchannelLogout('sub', 'sid')).rejects.toThrow('the address could not be fetched')
    }
    expect(unnamed.connections).toBe(0)
  })
})

test('the reason is in the log for the operator, but not in the answer', async () => {
  const [process] = fleet.processes
  const { body } = await authenticate(`https://10.9.8.7:${unnamed.port}/jwks`)
  const line = process.output.find((logged) => logged.includes('10.9.8.7')) ?? '{}'
  expect(JSON.parse(line)).toMatchObject({
    host: `10.9.8.7:${unnamed.port}`,
    err: { message: '10.9.8.7 is at 10.9.8.7, which is not an address of the Internet' },
  })
  expect(body).not.toContain('10.9.8.7')
})

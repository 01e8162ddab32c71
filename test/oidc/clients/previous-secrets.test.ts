import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { createCertificate } from '../../support/certificate.ts'
import { eventually } from '../../support/eventually.ts'
import { operate } from '../../support/operator.ts'
import { freePort, startPostern, type TestPostern } from '../../support/postern.ts'
import { type Fleet, startFleet } from '../../support/processes.ts'
import { basic, send } from '../../support/wire.ts'

const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const methods = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt']

/** Creates what a client sends to authenticate with a secret, by its registered method (OpenID Connect Core §9). */
async function proof({ client_id, token_endpoint_auth_method: method }: ClientMetadata, secret: string, aud: string) {
  if (method === 'client_secret_basic') return { headers: { authorization: basic(client_id, secret) }, form: {} }
  if (method === 'client_secret_post') return { headers: {}, form: { client_id, client_secret: secret } }
  const client_assertion = await new SignJWT({ aud, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(client_id)
    .setSubject(client_id)
    .setIssuedAt()
    .setExpirationTime('1 min')
    .sign(Buffer.from(secret))
  const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
  return { headers: {}, form: { client_assertion, client_assertion_type } }
}

describe('a client whose secret was rotated', () => {
  let postern: TestPostern
  beforeAll(async () => {
    postern = await startPostern()
  })
  afterEach(() => vi.useRealTimers())
  afterAll(() => postern?.stop())

  async function opens(client: ClientMetadata, secret: unknown): Promise<boolean> {
    const { headers, form } = await proof(client, String(secret), postern.issuer)
    const { status, json } = await send(postern, '/oauth/token', {
      headers,
      form: { grant_type: 'client_credentials', ...form },
    })
    if (status !== 200) expect([status, json['error']]).toEqual([401, 'invalid_client'])
    return status === 200
  }

  /** Rotates the secret, and waits until the server knows it. */
  async function rotate(client: ClientMetadata, overlap_seconds: number): Promise<Record<string, unknown>> {
    const { client_id } = client
    const rotated = (await operate(postern, 'client rotate-secret', { client_id, overlap_seconds })) as typeof client
    await eventually(async () => expect(await opens(client, rotated['client_secret'])).toBe(true))
    return rotated
  }

  /** Moves the clock by this many seconds. */
  const later = (seconds: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 })

  test.each(methods)('has two secrets until the overlap ends, and one afterwards (%s)', async (method) => {
    const client = await postern.createClient({ ...machine, token_endpoint_auth_method: method })
    expect(await opens(client, client['client_secret'])).toBe(true)
    const { client_secret: secret } = await rotate(client, 10)
    expect([await opens(client, client['client_secret']), await opens(client, secret)]).toEqual([true, true])
    expect(await opens(client, 'x'.repeat(64))).toBe(false)

    later(10.5)
    expect([await opens(client, client['client_secret']), await opens(client, secret)]).toEqual([false, true])
  })

  test.each(methods)('has only the new secret without an overlap (%s)', async (method) => {
    const client = await postern.createClient({ ...machine, token_endpoint_auth_method: method })
    expect(await opens(client, client['client_secret'])).toBe(true)
    const { client_secret: secret, ...rest } = await rotate(client, 0)
    expect([await opens(client, client['client_secret']), await opens(client, secret)]).toEqual([false, true])
    expect(rest).not.toHaveProperty('previous_secret_expires_at')
  })

  test.each(methods)('is rejected with its previous secret if that ends during the request (%s)', async (method) => {
    const client = await postern.createClient({ ...machine, token_endpoint_auth_method: method })
    const { client_secret: secret } = await rotate(client, 600)
    const end = () =>
      postern.database.query(`update clients set previous_secret_expires_at = now() where id = $1`, [client.client_id])
    expect([await opens(client, client['client_secret']), await opens(client, secret)]).toEqual([true, true])
    await end() // this process does not learn of it
    expect([await opens(client, client['client_secret']), await opens(client, secret)]).toEqual([false, true])
  })

  test('twice has the two newest secrets', async () => {
    const client = await postern.createClient(machine)
    const second = await rotate(client, 600)
    const third = await rotate(client, 600)
    expect(await opens(client, client['client_secret'])).toBe(false)
    expect(await opens(client, second['client_secret'])).toBe(true)
    expect(await opens(client, third['client_secret'])).toBe(true)
  })

  test('reveals neither the previous secret nor its existence in the metadata that the engine sees', async () => {
    const client = await postern.createClient({ ...machine, token_endpoint_auth_method: 'client_secret_jwt' })
    const { client_secret: secret } = await rotate(client, 600)
    const found = await postern.server.postern.provider.Client.find(client.client_id)
    expect(found?.metadata()).toMatchObject({ client_secret: secret })
    expect(JSON.stringify([found, found?.metadata()])).not.toContain(client['client_secret'])
    expect(Object.keys(found?.metadata() ?? {})).toEqual(
      Object.keys(
        (
          await postern.server.postern.provider.Client.find((await postern.createClient(machine)).client_id)
        )?.metadata() ?? {},
      ),
    )
  })
})

describe('RFC 7591 §3.2.1: a client_secret_expires_at', () => {
  let postern: TestPostern
  beforeAll(async () => {
    postern = await startPostern()
    await operate(postern, 'registration-policy set', { name: 'short', rules: { secret_ttl_seconds: 60 } })
  })
  afterEach(() => vi.useRealTimers())
  afterAll(() => postern?.stop())

  async function opens(client: ClientMetadata, secret: unknown = client['client_secret']): Promise<boolean> {
    const { headers, form } = await proof(client, String(secret), postern.issuer)
    const asked = { headers, form: { grant_type: 'client_credentials', ...form } }
    return (await send(postern, '/oauth/token', asked)).status === 200
  }

  async function register(method: string): Promise<ClientMetadata> {
    const metadata = { ...machine, token_endpoint_auth_method: method, policy: 'short' }
    return (await operate(postern, 'client create', metadata)) as ClientMetadata
  }

  const later = (seconds: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 })

  test.each(methods)('ends the secret at that moment, with %s', async (method) => {
    const client = await register(method)
    const end = Number(client['client_secret_expires_at'])
    later(end - Date.now() / 1000 - 1)
    expect(await opens(client)).toBe(true)
    later(end - Date.now() / 1000 + 0.01) // without the tolerance of 15 seconds for the clocks of others
    expect(await opens(client)).toBe(false)
    const { client_id } = client
    const rotated = (await operate(postern, 'client rotate-secret', { client_id })) as ClientMetadata
    expect(await opens(client, rotated['client_secret'])).toBe(true)
  })

  test.each(['/oauth/token', '/oauth/introspect', '/oauth/revoke', '/oauth/par', '/oauth/device_authorization'])(
    'ends the secret at %s',
    async (path) => {
      const client = await register('client_secret_basic')
      const ask = async () =>
        (await send(postern, path, { client, form: { token: 'none', grant_type: 'none' } })).json['error']
      expect(await ask()).not.toBe('invalid_client')
      later(60 + 0.01)
      expect(await ask()).toBe('invalid_client')
    },
  )

  test.each(methods)(
    'is not moved by a rotation: an expired secret does not become valid again, with %s',
    async (method) => {
      const client = await register(method)
      later(60 + 16)
      const { client_id } = client
      const rotated = await operate(postern, 'client rotate-secret', { client_id, overlap_seconds: 600 })
      expect(rotated).not.toHaveProperty('previous_secret_expires_at')
      expect(await opens(client)).toBe(false)
    },
  )

  test('ends an overlap that would last longer', async () => {
    const client = await register('client_secret_basic')
    const { client_id } = client
    const rotated = (await operate(postern, 'client rotate-secret', { client_id, overlap_seconds: 600 })) as Record<
      string,
      unknown
    >
    const end = new Date(Number(client['client_secret_expires_at']) * 1000).toISOString()
    expect(rotated['previous_secret_expires_at']).toBe(end)
    expect(await opens(client)).toBe(true)
    later(61)
    expect(await opens(client)).toBe(false)
  })
})

describe('a rotation', () => {
  const redirect_uris = ['https://one.example/cb', 'https://two.example/cb']
  let folder: string
  let fleet: Fleet
  let sector: { server: Server; host: string; asked: number }

  beforeAll(async () => {
    const certificate = createCertificate()
    folder = await mkdtemp(join(tmpdir(), 'postern-secrets-'))
    await writeFile(join(folder, 'ca.pem'), certificate.cert)
    const port = await freePort()
    const server = createServer(certificate, (_req, res) => {
      sector.asked += 1
      res.end(JSON.stringify(redirect_uris))
    })
    sector = { server, host: `localhost:${port}`, asked: 0 }
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()))
    fleet = await startFleet({ EGRESS_PRIVATE_HOSTS: sector.host, NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') })
  })
  afterAll(async () => {
    await fleet?.stop()
    sector?.server.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** Returns each process's status for a client that has this secret. */
  const opens = (client: ClientMetadata, secret: unknown) =>
    Promise.all(
      fleet.processes.map(async (server) => {
        const { headers, form } = await proof(client, String(secret), fleet.issuer)
        const body = new URLSearchParams({ token: 'none', ...form })
        return (await server.fetch(`${fleet.issuer}/oauth/introspect`, { method: 'POST', headers, body })).status
      }),
    )

  const [all, none] = [
    [200, 200],
    [401, 401],
  ]
  const soon = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 120_000, interval: 20 })

  test.each(methods)('without overlap ends the old secret in every process, with %s', async (method) => {
    const client = await fleet.createClient({ ...machine, token_endpoint_auth_method: method })
    expect(await opens(client, client['client_secret'])).toEqual(all)
    const { client_id } = client
    const rotated = await fleet.operate('client rotate-secret', { client_id, overlap_seconds: 0 })
    await soon(async () => expect(await opens(client, client['client_secret'])).toEqual(none))
    await soon(async () => expect(await opens(client, rotated['client_secret'])).toEqual(all))
  })

  test.each(methods)('leaves a client with a sector_identifier_uri both secrets, with %s', async (method) => {
    const { client_id, ...metadata } = await fleet.createClient({
      token_endpoint_auth_method: method,
      redirect_uris: redirect_uris.slice(0, 1),
    })
    // It could not be registered normally: the operator of this test does not trust the certificate.
    await fleet.database.query(`update clients set metadata = metadata || $2, updated_at = now() where id = $1`, [
      client_id,
      { redirect_uris, subject_type: 'pairwise', sector_identifier_uri: `https://${sector.host}/sector` },
    ])
    const client = { ...metadata, client_id }
    const askedBefore = sector.asked
    expect(await opens(client, metadata['client_secret'])).toEqual(all)
    const rotated = await fleet.operate('client rotate-secret', { client_id, overlap_seconds: 600 })
    await soon(async () => expect(await opens(client, rotated['client_secret'])).toEqual(all))
    expect(await opens(client, metadata['client_secret'])).toEqual(all)
    expect(await opens(client, 'x'.repeat(64))).toEqual(none)
    // Each process fetches it once before and once after, and perhaps for a version in between, but not at each
    // request.
    const asked = (sector.asked - askedBefore) / fleet.processes.length
    expect(asked).toBeGreaterThanOrEqual(2)
    expect(asked).toBeLessThan(5)

    await fleet.operate('client rotate-secret', { client_id, overlap_seconds: 0 })
    await soon(async () => expect(await opens(client, rotated['client_secret'])).toEqual(none))
    expect(await opens(client, metadata['client_secret'])).toEqual(none)
  })
})

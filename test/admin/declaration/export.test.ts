import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { exportDeclaration } from '../../../src/admin/declaration/export.ts'
import { declare } from '../../support/declaration.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createKey } from '../../support/wire.ts'

let postern: TestPostern
beforeEach(async () => {
  postern = await startPostern()
})
afterEach(() => postern?.stop())

const written = (of = postern) => exportDeclaration(of.server.postern)
const web = { redirect_uris: ['https://rp.example/cb'] }

/** Creates one of everything that can be declared, command by command. Returns the secrets that it contains. */
async function setUp(): Promise<string[]> {
  const create = async (metadata: object) =>
    (await operate(postern, 'client create', { ...metadata })) as { client_secret?: string }
  await operate(postern, 'registration-policy set', {
    name: 'partners',
    rules: { scopes: ['openid', 'email'], redirect_uris: { hosts: ['*.rp.example', 'rp.example'] }, max_clients: 9 },
  })
  await operate(postern, 'registration-policy set', { name: 'open', rules: { max_clients: null } })
  const resource = {
    identifier: 'https://api.example/',
    scopes: { write: 'Write: it', read: '', see: { en: 'See it', de: 'Es sehen' } },
  }
  const created = [
    (await operate(postern, 'resource create', resource)) as { client_secret?: string },
    await create({ client_id: 'zebra', client_name: 'No redirect URIs', scope: 'read' }),
    await create({ client_id: 'web', client_name: 'Yes: "quoted", # not a comment', ...web, first_party: true }),
    await create({ client_id: 'partner', policy: 'partners', ...web, contacts: ['b@rp.example', 'a@rp.example'] }),
    await create({ client_id: 'app', ...web, application_type: 'native', token_endpoint_auth_method: 'none' }),
    await create({ client_id: 'device', grant_types: ['urn:ietf:params:oauth:grant-type:device_code'] }),
    await create({ client_id: 'names', ...web, localized: { de: { client_name: 'Namen' }, 'zh-Hans': {} } }),
    await create({ client_id: '0123', ...web, subject_type: 'pairwise', require_pkce: false, default_max_age: 0 }),
    await create({ client_id: 'true', ...web, response_modes: ['query'], resources: ['https://api.example/'] }),
    await create({ client_id: 'a b:{', ...web, id_token_signed_response_alg: 'ES256', require_auth_time: true }),
    await create({
      client_id: 'signed',
      ...web,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: (await createKey()).jwks,
      backchannel_logout_uri: 'https://rp.example/out',
      backchannel_logout_session_required: true,
    }),
  ]
  await operate(postern, 'resource create', {
    identifier: 'https://other.example/',
    name: 'Other',
    scopes: { other: 'Other' },
    token_format: 'jwt',
    token_ttl_seconds: 60,
    client_id: 'zebra',
  })
  await operate(postern, 'client disable', { client_id: 'app' })
  return created.flatMap(({ client_secret }) => client_secret ?? [])
}

/** Returns the state in force, without members that differ each time it is created. */
async function inForce({ database: { query } }: TestPostern) {
  return {
    clients: await query(
      `select id, metadata - 'client_id_issued_at' as metadata, policy, disabled_at is null as enabled from clients order by id`,
    ),
    policies: await query('select name, rules from registration_policies order by name'),
    resources: await query(
      'select identifier, name, scopes, token_format, token_ttl_seconds, client_id from resource_servers order by identifier',
    ),
  }
}

describe('postern export', () => {
  test('writes a declaration that produces the same state on an empty database', async () => {
    await setUp()
    const text = await written()
    const copy = await startPostern({ ISSUER: postern.issuer })
    try {
      await declare(copy, text)
      expect(await inForce(copy)).toEqual(await inForce(postern))
      expect(await written(copy)).toBe(text)
    } finally {
      await copy.stop()
    }
  })

  test('writes a declaration that changes nothing on the server it came from, even with pruning', async () => {
    await setUp()
    const { plan } = await declare(postern, await written(), { prune: true })
    expect(plan.changes).toEqual([])
    expect(plan.unchanged).toBeGreaterThan(10)
  })

  test('writes no secret, neither a generated nor a chosen one', async () => {
    const secrets = await setUp()
    const canary = 'canary-5f1d3a7b9c2e4d6f8a0b1c3d5e7f9a2b'
    await operate(postern, 'client set-secret', { client_id: 'web', client_secret: canary })
    const text = await written()
    expect(secrets.length).toBeGreaterThan(5)
    for (const secret of [canary, ...secrets]) expect(text).not.toContain(secret)
    expect(text).toContain('client_id: zebra')
    expect(text).not.toMatch(/client_secret(_expires_at)?: [^{]/)
  })

  test('writes only those members of a client that differ from their defaults', async () => {
    await operate(postern, 'client create', { client_id: 'web', client_name: 'Web', ...web, application_type: 'web' })
    await operate(postern, 'client create', { client_id: 'machine', scope: 'read' })
    expect((await written()).split('clients:\n')[1]).toBe(`\
  machine:
    scope: read

  web:
    client_name: Web
    redirect_uris:
      - https://rp.example/cb
`)
  })

  test('leaves out clients that registered themselves or are described by a document, and notes it where an API depends on one', async () => {
    const { client_id } = await postern.createClient()
    const { client_id: other } = await postern.createClient()
    await postern.database.query('update clients set dynamic = true where id = $1', [client_id])
    await postern.database.query('update clients set document = true where id = $1', [other])
    await postern.createResource({ identifier: 'https://api.example/', clientId: client_id })
    const text = await written()
    expect(text).toContain(
      `  # It introspects tokens as ${client_id}, which was not registered by an administrator.\n  https://api.example/:\n`,
    )
    expect(text).toContain('\nclients: {}\n')
    expect((await declare(postern, text, { prune: true })).plan.changes).toEqual([])
  })

  test('writes all of a client that its policy would refuse today, with the reason', async () => {
    const set = (hosts: string[]) =>
      operate(postern, 'registration-policy set', { name: 'narrowed', rules: { redirect_uris: { hosts } } })
    await set(['rp.example'])
    await operate(postern, 'client create', { client_id: 'late', policy: 'narrowed', ...web })
    await set(['other.example'])
    const text = await written()
    expect(text).toContain(
      '  # It would be rejected now: redirect_uris must be on a host that the policy lists\n  late:\n    policy: narrowed\n',
    )
    await expect(declare(postern, text)).rejects.toThrow('clients.late.redirect_uris: must be on a host')
  })
})

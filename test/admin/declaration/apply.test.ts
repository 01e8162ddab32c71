import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { declare, inShort } from '../../support/declaration.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { basic, send } from '../../support/wire.ts'

const example = readFileSync(join(import.meta.dirname, '../../../examples/postern.yaml'), 'utf8')

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const show = (command: string, input: object) =>
  operate(postern, command, { ...input }) as Promise<Record<string, unknown>>
const client = (client_id: string) => show('client show', { client_id })

/** Returns all state and everything that was ever recorded. */
async function everything(): Promise<unknown> {
  const { query } = postern.database
  return {
    clients: await query('select * from clients order by id'),
    resources: await query('select * from resource_servers order by identifier'),
    policies: await query('select * from registration_policies order by name'),
    audit: await query("select * from audit_events where type not like 'key.%' order by id"),
  }
}

describe('examples/postern.yaml', () => {
  test('changes nothing when it is applied a second time, not even the audit', async () => {
    const first = await declare(postern, example)
    expect(inShort(first)).toEqual([
      'create policy partners',
      'create client shop',
      'create client courier-portal',
      'create client invoice-run',
      'create resource https://orders.example.com',
      'create resource https://invoices.example.com',
    ])
    const before = await everything()
    const second = await declare(postern, example)
    expect(second).toEqual({ plan: { changes: [], unchanged: 6 }, isApplied: true, secrets: [] })
    expect(await everything()).toEqual(before)
  })

  test('creates clients and resource servers that work with the secrets it shows', async () => {
    const { secrets } = await declare(
      postern,
      `version: 1
resources: { https://stock.example.com: { scopes: { stock.read: See the stock } } }
clients: { stock-taker: { scope: stock.read, resources: [https://stock.example.com] } }`,
    )
    const of = (kind: string) => secrets.find((secret) => secret.kind === kind)
    const { json } = await send(postern, '/oauth/token', {
      headers: { authorization: basic('stock-taker', of('client')?.client_secret.reveal() ?? '') },
      form: { grant_type: 'client_credentials', scope: 'stock.read', resource: 'https://stock.example.com' },
    })
    const introspected = await send(postern, '/oauth/introspect', {
      headers: { authorization: basic(of('resource')?.client_id ?? '', of('resource')?.client_secret.reveal() ?? '') },
      form: { token: String(json['access_token']) },
    })
    expect(introspected.json).toMatchObject({ active: true, client_id: 'stock-taker', scope: 'stock.read' })
  })
})

describe('a declaration that changed', () => {
  const base = `version: 1
policies:
  team: { grant_types: [authorization_code, refresh_token], max_clients: 3, redirect_uris: { hosts: [a.example] } }
resources:
  https://api.example.com: { scopes: { read: Read, write: Write }, token_ttl_seconds: 300 }
clients:
  app: { policy: team, client_name: App, redirect_uris: [https://a.example/1, https://a.example/2], contacts: [a@a.example] }
  other: { client_name: Other, redirect_uris: [https://b.example/], scope: openid email }`
  const changed = (from: string, to: string) => {
    expect(base).toContain(from)
    return base.replace(from, to)
  }

  test.each([
    ['max_clients: 3', 'max_clients: 4', 'policy', [{ member: 'max_clients', before: 3, after: 4 }]],
    ['max_clients: 3, ', '', 'policy', [{ member: 'max_clients', before: 3, after: null }]],
    [
      'hosts: [a.example]',
      'hosts: [a.example, b.example]',
      'policy',
      [{ member: 'redirect_uris.hosts', before: ['a.example'], after: ['a.example', 'b.example'] }],
    ],
    [
      'grant_types: [authorization_code, refresh_token]',
      'grant_types: [refresh_token, authorization_code]', // clients that name none get the first
      'policy',
      [{ member: 'grant_types' }],
    ],
    ['write: Write', 'write: Change', 'resource', [{ member: 'scopes.write', before: 'Write', after: 'Change' }]],
    [', write: Write', '', 'resource', [{ member: 'scopes.write', before: 'Write' }]],
    [', token_ttl_seconds: 300', '', 'resource', [{ member: 'token_ttl_seconds', before: 300 }]],
    [
      'client_name: App',
      'client_name: Renamed',
      'client',
      [{ member: 'client_name', before: 'App', after: 'Renamed' }],
    ],
    [', contacts: [a@a.example]', '', 'client', [{ member: 'contacts', before: ['a@a.example'] }]],
    [', https://a.example/2', '', 'client', [{ member: 'redirect_uris', after: ['https://a.example/1'] }]],
    ['scope: openid email', 'scope: openid', 'client', [{ member: 'scope', before: 'openid email', after: 'openid' }]],
    [', scope: openid email', '', 'client', [{ member: 'scope', before: 'openid email' }]],
    ['client_name: Other', 'policy: default, client_name: Other', 'client', [{ member: 'policy', after: 'default' }]],
  ])('from "%s" to "%s" causes one change, and none when it is applied again', async (from, to, kind, differences) => {
    await declare(postern, base)
    const { plan } = await declare(postern, changed(from, to))
    expect(plan).toMatchObject({ changes: [{ action: 'update', kind, differences }], unchanged: 3 })
    expect(plan.changes[0]?.differences).toHaveLength(1)
    expect((await declare(postern, changed(from, to))).plan.changes).toEqual([])
  })

  test.each([
    [
      'lists a set in another order',
      '[https://a.example/1, https://a.example/2]',
      '[https://a.example/2, https://a.example/1]',
    ],
    ['lists something twice', '[https://a.example/1, ', '[https://a.example/1, https://a.example/1, '],
    ['names scopes in another order', 'openid email', 'email openid'],
    ['spells out a default', 'client_name: Other', 'client_name: Other, application_type: web, response_types: [code]'],
    [
      'spells out a default of its policy',
      'client_name: App',
      'client_name: App, grant_types: [authorization_code, refresh_token]',
    ],
    ['spells out a default rule of a policy', 'max_clients: 3', 'max_clients: 3, max_uris: 20'],
    ['names an API by its host', 'scopes: { read', 'name: api.example.com, token_format: opaque, scopes: { read'],
  ])('and only %s causes no change', async (_, from, to) => {
    await declare(postern, base)
    expect((await declare(postern, changed(from, to))).plan.changes).toEqual([])
  })

  test('does not delete entries that it no longer contains', async () => {
    await declare(postern, base)
    const before = await everything()
    expect((await declare(postern, 'version: 1\nclients: {}\nresources: {}\npolicies: {}')).plan.changes).toEqual([])
    expect(await everything()).toEqual(before)
  })

  test('adds a line to the audit for each thing it changes, with the actor and "apply"', async () => {
    await declare(postern, base)
    const [last] = await postern.database.query('select max(id) as id from audit_events')
    const text = changed('client_name: App', 'client_name: Audited').replace('Write', 'Audited').replace('3,', '9,')
    await declare(postern, text)
    const lines = await postern.database.query(
      `select * from audit_events where id > $1 and type not like 'key.%' order by id`,
      [last?.['id']],
    )
    const expected = { actor: 'operator:test', details: { via: 'apply' } }
    expect(lines).toMatchObject([
      { ...expected, type: 'registration_policy.saved' },
      { ...expected, type: 'client.updated', client_id: 'app', details: { changed: ['client_name'] } },
      { ...expected, type: 'resource.updated', details: { changed: ['scopes'] } },
    ])
  })
})

describe('a declaration that was not accepted', () => {
  test('has been tried out completely, and has left nothing behind', async () => {
    const before = await everything()
    const text = example.replace(/courier-portal/g, 'rehearsed')
    const outcome = await declare(postern, text, { accept: () => false })
    expect(inShort(outcome)).toEqual(['create client rehearsed'])
    expect(outcome).toMatchObject({ isApplied: false, secrets: [] })
    expect(await everything()).toEqual(before)
  })
})

describe('a declaration while another is being applied', () => {
  test('waits for it, sees its result, and does nothing twice', async () => {
    const text = 'version: 1\nclients: { a1: {}, a2: {}, a3: {} }'
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => declare(postern, text)))
    expect(outcomes.map(({ plan }) => plan.changes.length).sort()).toEqual([0, 0, 0, 0, 0, 3])
  })

  test('is reported as a conflict, and does nothing, when it has to wait too long', async () => {
    const lock = await postern.server.postern.database.dedicated()
    try {
      await lock.query(`select pg_advisory_lock(hashtextextended('postern apply', 0))`)
      await expect(declare(postern, 'version: 1\nclients: { late: {} }')).rejects.toMatchObject({
        name: 'OperationError',
        kind: 'conflict',
      })
    } finally {
      await lock.end()
    }
    await expect(client('late')).rejects.toThrow('There is no client late.')
  })
})

describe('a declaration applied while people sign in', () => {
  test.each([
    ['to clients that it changes', 'clients: { z-app: { client_name: Z }, a-app: { client_name: A } }', false],
    ['to clients that it deletes', 'clients: { z-app: {} }', true],
  ])('%s locks them in the order in which requests do, whatever order it lists them in', async (_, text, prune) => {
    await declare(postern, 'version: 1\nclients: { z-app: {}, a-app: {} }')
    const request = await postern.server.postern.database.dedicated()
    try {
      await request.query('begin')
      await request.query(`select id from clients where id = 'a-app' for share`)
      const declaring = declare(postern, `version: 1\n${text}`, { prune })
      await vi.waitUntil(isWaiting, 20_000)
      await request.query(`select id from clients where id = 'z-app' for share`)
      await request.query('commit')
      expect(await declaring).toMatchObject({ isApplied: true })
    } finally {
      await request.end()
    }
  })

  const isWaiting = async () =>
    (
      await postern.database.query(
        `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
      )
    ).length > 0
})

describe('a declaration with a part that is refused', () => {
  const good = '  fine: { client_name: Fine }'

  test('is not applied at all, and every refused member is named', async () => {
    const before = await everything()
    const refused = declare(
      postern,
      `version: 1
policies: { strict: { redirect_uris: { hosts: [a.example] }, first_party: false } }
clients:
${good}
  elsewhere:
    policy: strict
    redirect_uris: [https://b.example/]
  lost:
    policy: nowhere
  unheard:
    userinfo_encrypted_response_alg: RSA-OAEP
  keyless:
    token_endpoint_auth_method: private_key_jwt`,
    )
    await expect(refused).rejects.toMatchObject({
      name: 'OperationError',
      message: [
        'postern.yaml:7:5: clients.elsewhere.redirect_uris: must be on a host that the policy lists (policy strict, redirect_uris.hosts)',
        'postern.yaml:9:5: clients.lost.policy: There is no registration policy nowhere.',
        'postern.yaml:11:5: clients.unheard.userinfo_encrypted_response_alg: has no effect with the settings of this server',
        'postern.yaml:12:3: clients.keyless.jwks: jwks or jwks_uri is mandatory for this client',
        'Nothing was applied.',
      ].join('\n'),
    })
    expect(await everything()).toEqual(before)
  })

  test.each([
    ['a client refused after others were changed', `${good}\n  bad: { redirect_uris: ['http://x.example/'] }`],
    [
      'a resource server that names an unknown client',
      `${good}\nresources: { https://n.example: { scopes: { a: b }, client_id: nobody } }`,
    ],
    ['the resource server that is Postern itself', `${good}\nresources: { ISSUER/admin/api: { scopes: { a: b } } }`],
    ['more clients than their policy allows', `${good}\n  one: { policy: few }\npolicies: { few: { max_clients: 0 } }`],
  ])('leaves nothing behind when it contains %s', async (_, rest) => {
    const before = await everything()
    await expect(declare(postern, `version: 1\nclients:\n${rest.replace('ISSUER', postern.issuer)}`)).rejects.toThrow(
      'Nothing was applied.',
    )
    expect(await everything()).toEqual(before)
  })

  test('has its clients checked against the new rules of a policy that it also changes', async () => {
    const text = (hosts: string) => `version: 1
policies: { moving: { redirect_uris: { hosts: [${hosts}] } } }
clients: { mover: { policy: moving, redirect_uris: [https://a.example/] } }`
    await declare(postern, text('a.example'))
    await expect(declare(postern, text('b.example'))).rejects.toThrow('clients.mover.redirect_uris: must be on a host')
    expect(await show('registration-policy show', { name: 'moving' })).toMatchObject({
      rules: { redirect_uris: { hosts: ['a.example'] } },
    })
  })
})

describe('a declared client', () => {
  const named = (id: string, rest = 'client_name: Name') => `version: 1\nclients: { ${id}: { ${rest} } }`

  test('is refused if its id belonged to a deleted client', async () => {
    await declare(postern, named('buried'))
    await operate(postern, 'client delete', { client_id: 'buried' })
    await expect(declare(postern, named('buried'))).rejects.toThrow(
      'postern.yaml:2:12: clients.buried.client_id: The client buried was deleted, and its id is not given out again',
    )
  })

  test.each([
    ['registered itself', 'dynamic'],
    ['is described by its own metadata document', 'document'],
  ])('is refused if its id belongs to a client that %s', async (what, column) => {
    const { client_id } = await postern.createClient()
    await postern.database.query(`update clients set ${column} = true where id = $1`, [client_id])
    await expect(declare(postern, named(client_id))).rejects.toThrow(
      `clients.${client_id}: The client ${client_id} ${what}`,
    )
  })

  test('is enabled or disabled as declared, and otherwise left as it is', async () => {
    await declare(postern, named('switched', 'disabled: true'))
    expect(await client('switched')).toMatchObject({ disabled: true })
    expect((await declare(postern, named('switched', 'disabled: true'))).plan.changes).toEqual([])
    await declare(postern, named('switched', 'disabled: false, client_name: Also changed'))
    expect(await client('switched')).toMatchObject({ disabled: false, client_name: 'Also changed' })

    await operate(postern, 'client disable', { client_id: 'switched' }) // an administrator stopped it
    expect((await declare(postern, named('switched', 'client_name: Also changed'))).plan.changes).toEqual([])
    expect(await client('switched')).toMatchObject({ disabled: true })
    await expect(declare(postern, named('switched'))).rejects.toThrow('cannot be changed')
  })

  test('whose authentication method changes to one with a secret has that secret shown', async () => {
    await declare(postern, named('grown', 'redirect_uris: [https://g.example/], token_endpoint_auth_method: none'))
    const { secrets } = await declare(postern, named('grown', 'redirect_uris: [https://g.example/]'))
    expect(secrets).toMatchObject([{ kind: 'client', client_id: 'grown' }])
    expect(secrets[0]?.client_secret.reveal()).toEqual(expect.any(String))
  })
})

describe('a declared client secret', () => {
  const one = 'the first secret, which comes from elsewhere'
  const other = 'the other secret, which comes from elsewhere'
  const text = (id: string, rest = '') => `version: 1\nclients: { ${id}: { client_secret: { env: SECRET${rest} } } }`
  const apply = (id: string, SECRET: string, rest = '') => declare(postern, text(id, rest), { secrets: { SECRET } })

  async function opens(id: string, secret: string): Promise<boolean> {
    const headers = { authorization: basic(id, secret) }
    return (await send(postern, '/oauth/token', { headers, form: { grant_type: 'client_credentials' } })).status === 200
  }

  test('becomes the secret of a new client, and is not shown', async () => {
    const outcome = await apply('chosen', one)
    expect(outcome.secrets).toEqual([])
    expect(await opens('chosen', one)).toBe(true)
    expect((await apply('chosen', one)).plan.changes).toEqual([])
  })

  test('replaces the previous one when it changes, which stays valid for a day', async () => {
    await apply('rotated', one)
    const { plan } = await apply('rotated', other)
    expect(plan.changes).toMatchObject([{ differences: [{ before: '[secret]', after: '[secret from SECRET]' }] }])
    expect([await opens('rotated', one), await opens('rotated', other)]).toEqual([true, true])
    const { previous_secret_expires_at: end } = await client('rotated')
    expect(Date.parse(String(end))).toBeGreaterThan(Date.now() + 86_000_000)
  })

  test('replaces the previous one at once with overlap_seconds 0', async () => {
    await apply('leaked', one)
    await apply('leaked', other, ', overlap_seconds: 0')
    expect([await opens('leaked', one), await opens('leaked', other)]).toEqual([false, true])
  })

  test('is refused for a client without a secret, and when it could be guessed', async () => {
    const none = `version: 1
clients: { open: { redirect_uris: [https://o.example/], token_endpoint_auth_method: none, client_secret: { env: SECRET } } }`
    await expect(declare(postern, none, { secrets: { SECRET: one } })).rejects.toThrow(
      'clients.open: The client open has no secret',
    )
    const refused = apply('guessed', 'sesame')
    await expect(refused).rejects.toThrow('postern.yaml:2:23: clients.guessed.client_secret: must have at least 32')
    await expect(refused).rejects.not.toThrow('sesame')
  })

  test('appears nowhere afterwards: not in the plan, the audit, a table or the log', async () => {
    const canary = 'canary-0d7a4b1c9e8f2a3b4c5d6e7f8a9b0c1d'
    const outcomes = [await apply('watched', canary), await apply('watched', `${canary}-2`)]
    expect(JSON.stringify([outcomes, await everything(), postern.logged])).not.toContain(canary)
  })
})

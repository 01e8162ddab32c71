import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { declare, inShort } from '../../support/declaration.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'

const base = `version: 1
policies: { team: {}, spare: {} }
resources:
  https://a.example: { scopes: { a: A } }
  https://b.example: { scopes: { b: B } }
clients:
  kept: { policy: team }
  dropped: { client_name: Dropped }`

let postern: TestPostern
beforeEach(async () => {
  postern = await startPostern()
  await declare(postern, base)
})
afterEach(() => postern?.stop())

const remaining = () =>
  postern.database.query('select id from clients where deleted_at is null and not built_in order by id')

describe('pruning', () => {
  test('deletes undeclared entries, including the credentials of an API, and then finds nothing to do', async () => {
    const [credentials] = await postern.database.query(
      `select client_id as id from resource_servers where identifier = 'https://a.example'`,
    )
    const less = `version: 1
policies: { team: {} }
resources: { https://a.example: { scopes: { a: A } } }
clients: { kept: { policy: team } }`
    expect(inShort(await declare(postern, less, { prune: true }))).toEqual([
      'delete resource https://b.example',
      'delete client dropped',
      'delete policy spare',
    ])
    expect(await remaining()).toEqual(expect.arrayContaining([credentials, { id: 'kept' }]))
    expect(await remaining()).toHaveLength(2)
    expect((await declare(postern, less, { prune: true })).plan.changes).toEqual([])
    const events = await postern.database.query(`select type, details from audit_events where type like '%.deleted'`)
    expect(events.map(({ type }) => type)).toEqual([
      'resource.deleted',
      'client.deleted',
      'registration_policy.deleted',
    ])
    for (const { details } of events) expect(details).toMatchObject({ via: 'apply' })
  })

  test('deletes nothing unless requested, and nothing when the plan is not accepted', async () => {
    const empty = 'version: 1\npolicies: {}\nresources: {}\nclients: {}'
    const before = await remaining()
    expect((await declare(postern, empty)).plan.changes).toEqual([])
    expect((await declare(postern, empty, { prune: true, accept: () => false })).plan.changes).toHaveLength(6)
    expect(await remaining()).toEqual(before)
  })

  test('leaves alone the sections that a declaration does not have', async () => {
    const clients = 'version: 1\nclients: { kept: { policy: team } }'
    expect(inShort(await declare(postern, clients, { prune: true }))).toEqual(['delete client dropped'])
  })

  test('deletes neither clients that registered themselves nor those described by a document', async () => {
    for (const column of ['dynamic', 'document']) {
      const { client_id } = await postern.createClient()
      await postern.database.query(`update clients set ${column} = true where id = $1`, [client_id])
    }
    expect(inShort(await declare(postern, 'version: 1\nclients: {}', { prune: true }))).toEqual([
      'delete client dropped',
      'delete client kept',
    ])
    expect(await remaining()).toHaveLength(4) // including the credentials of the two APIs
  })

  test('deletes a client that only remained because an API introspects as it, together with that API', async () => {
    await operate(postern, 'resource update', { identifier: 'https://a.example', client_id: 'dropped' })
    const kept = 'clients: { kept: { policy: team } }'
    const alone = await declare(postern, `version: 1\n${kept}`, { prune: true })
    expect(inShort(alone)).not.toContain('delete client dropped')
    const both = `version: 1\n${kept}\nresources: { https://b.example: { scopes: { b: B } } }`
    expect(inShort(await declare(postern, both, { prune: true }))).toEqual([
      'delete resource https://a.example',
      'delete client dropped',
    ])
  })

  test('is refused as a whole when a policy still has a client', async () => {
    await declare(postern, 'version: 1\nclients: { kept: { policy: team }, dropped: { policy: spare } }')
    const text = 'version: 1\npolicies: { team: {}, another: {} }'
    await expect(declare(postern, text, { prune: true })).rejects.toThrow(
      'policies.spare: Clients or registration tokens use the policy spare.\nNothing was applied.',
    )
    expect(await postern.database.query('select name from registration_policies order by name')).toEqual([
      { name: 'spare' },
      { name: 'team' },
    ])
  })

  test('resets a built-in policy to its built-in rules', async () => {
    await declare(postern, 'version: 1\npolicies: { team: {}, spare: {}, default: { max_uris: 3 } }')
    await declare(postern, 'version: 1\npolicies: { team: {}, spare: {} }', { prune: true })
    expect(await operate(postern, 'registration-policy show', { name: 'default' })).toMatchObject({
      built_in: true,
      rules: { max_uris: 20 },
    })
  })
})

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as migration from '../../../migrations/0005-machine-resources.ts'
import { scopes as openScopes } from '../../../src/oidc/scopes.ts'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { declare } from '../../support/declaration.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createPolicy, createToken, register } from '../../support/registration.ts'
import { type Answer, send } from '../../support/wire.ts'

const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const [notes, mail, misnamed] = ['https://notes.example/', 'https://mail.example/', 'https://misnamed.example/']
const ofOpenId = Object.keys(openScopes)
let postern: TestPostern
let owner: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  owner = await postern.createClient(machine)
  const clientId = owner.client_id
  await postern.createResource({ identifier: notes, scopes: { read: 'Read', write: 'Write' }, clientId })
  await postern.createResource({ identifier: mail, scopes: { read: 'Read' }, clientId })
  // The previous release allowed these names.
  await postern.createResource({
    identifier: misnamed,
    scopes: { profile: "Read Ada's notes, too", email: '', read: '' },
    clientId,
  })
})
afterAll(() => postern?.stop())

const said = ({ status, json }: Answer) => [status, json['error'] ?? json['scope']]
const ask = (client: ClientMetadata, form: Record<string, string>) =>
  send(postern, '/oauth/token', { client, form: { grant_type: 'client_credentials', ...form } })
const invalidTarget = [400, 'invalid_target']
const invalidScope = [400, 'invalid_scope']

describe('a machine that registered itself', () => {
  const registrations = [undefined, 'openid', ofOpenId.join(' ')]
  const requests = [undefined, 'profile', 'email', 'read', 'openid', ofOpenId.join(' ')]
  const cases = registrations.flatMap((scope) =>
    [notes, misnamed].flatMap((resource) => requests.map((asked) => [scope, asked, resource] as const)),
  )

  test.each(cases)('for %j and asks for %j gets no token for %s', async (scope, asked, resource) => {
    const { json } = await register(postern, { ...machine, ...(scope && { scope }) }, await createToken(postern))
    const answer = await ask(json as ClientMetadata, { resource, ...(asked && { scope: asked }) })
    expect(said(answer)).toEqual(invalidTarget)
  })

  test('has a scope of an API only where its policy lists both', async () => {
    const both = await createPolicy(postern, 'both', { scopes: ['openid', 'read'], resources: [notes] })
    const { json } = await register(postern, { ...machine, scope: 'openid read' }, both)
    expect(said(await ask(json as ClientMetadata, { resource: notes }))).toEqual([200, 'read'])
    expect(said(await ask(json as ClientMetadata, { resource: mail }))).toEqual(invalidTarget)

    const scopeAlone = await createPolicy(postern, 'scope-alone', { scopes: ['openid', 'read'] })
    const refused = await register(postern, { ...machine, scope: 'openid read', resources: [mail] }, scopeAlone)
    expect([refused.status, refused.json['error_description']]).toEqual([400, expect.stringMatching(/\(scopes\)$/)])
  })
})

describe('a machine that an administrator registered', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['for nothing', {}, notes],
    [
      'for scopes of OpenID Connect, at an API that it lists',
      { scope: ofOpenId.join(' '), resources: [misnamed] },
      misnamed,
    ],
    ['for a scope, but for no API', { scope: 'read' }, notes],
    ['for a scope of that name at another API', { scope: 'read', resources: [notes] }, mail],
    ['for an API, but for none of its scopes', { scope: 'write', resources: [notes, mail] }, mail],
    ['to introspect alone', { scope: 'openid' }, notes],
  ])('%s gets no token for an API', async (_what, metadata, resource) => {
    const client = await postern.createClient({ ...machine, ...metadata })
    for (const scope of [undefined, 'read', 'profile', 'openid']) {
      expect(said(await ask(client, { resource, ...(scope && { scope }) }))).toEqual(invalidTarget)
    }
  })

  test('gets the scopes of a named API that it is registered for: all, or those it asks for (RFC 6749 §3.3)', async () => {
    const client = await postern.createClient({ ...machine, scope: 'openid read write', resources: [notes, mail] })
    expect(said(await ask(client, { resource: notes }))).toEqual([200, 'read write'])
    expect(said(await ask(client, { resource: notes, scope: 'write' }))).toEqual([200, 'write'])
    expect(said(await ask(client, { resource: mail }))).toEqual([200, 'read'])
  })

  test.each([
    ['that the API has but the client is not registered for', 'write', notes],
    ['that it is registered for at another API', 'mail.send', notes],
    ['that the API does not have', 'nonsense', notes],
    ['of OpenID Connect that it is registered for', 'openid', notes],
    ['together with one that it has', 'read nonsense', notes],
  ])('gets invalid_scope, not fewer scopes, for a scope %s', async (_what, scope, resource) => {
    const client = await postern.createClient({ ...machine, scope: 'openid read mail.send', resources: [notes] })
    expect(said(await ask(client, { scope, resource }))).toEqual(invalidScope)
  })
})

describe('an API scope with the name of an OpenID Connect scope', () => {
  const refusal = (name: string) => new RegExp(`OpenID Connect scopes: ${name}; .* such as notes:profile`)

  test.each(ofOpenId)('(%s) is rejected by create, update and apply, with a helpful message', async (name) => {
    const scopes = { [name]: 'Read', fine: 'Fine' }
    const identifier = `https://${name.replace('_', '-')}.example/`
    await expect(operate(postern, 'resource create', { identifier, scopes })).rejects.toThrow(refusal(name))
    await expect(operate(postern, 'resource update', { identifier: notes, scopes })).rejects.toThrow(refusal(name))
    const declaration = `version: 1\nresources: { ${identifier}: { scopes: { ${name}: Read } } }`
    await expect(declare(postern, declaration)).rejects.toThrow(refusal(name))
  })

  test('that already exists does not prevent other changes, and the server logs at startup the command that renames it', async () => {
    await operate(postern, 'resource update', { identifier: misnamed, name: 'Another name' })
    postern.logged.splice(0)
    await postern.restart()
    const lines = postern.logged.map((line) => JSON.parse(line)).filter(({ resource }) => resource !== undefined)
    expect(lines).toMatchObject([
      { level: 40, resource: misnamed, scopes: expect.arrayContaining(['profile', 'email']) },
    ])
    const [, command] = /: (postern resource update .*)$/.exec(lines[0].msg) ?? []
    const cli = join(import.meta.dirname, '../../../src/cli.ts')
    const { status, stderr } = spawnSync(
      'bash',
      ['-c', String(command).replace('postern', `"${process.execPath}" ${cli}`)],
      {
        env: { ...process.env, ...postern.env },
        encoding: 'utf8',
      },
    )
    expect([status, stderr]).toEqual([0, ''])
    expect(await operate(postern, 'resource show', { identifier: misnamed })).toMatchObject({
      scopes: { 'api:profile': "Read Ada's notes, too", 'api:email': '', read: '' },
    })
  })
})

describe('machines of the previous release', () => {
  test('that an administrator registered for API scopes keep these APIs and get no others', async () => {
    const { db } = postern.server.postern.database
    const created = {
      one: await postern.createClient({ ...machine, scope: 'openid read' }),
      bounded: await postern.createClient({ ...machine, scope: 'read', resources: [mail] }),
      open: await postern.createClient({ ...machine, scope: 'openid profile' }),
      admin: await postern.createClient({ ...machine, scope: 'read postern:audit' }),
      people: await postern.createClient({ grant_types: ['authorization_code', 'client_credentials'], scope: 'read' }),
    }
    const self = await register(postern, { ...machine, scope: 'openid' }, await createToken(postern))
    await migration.up(db as never)
    const rows = await db.selectFrom('clients').select(['id', 'metadata']).execute()
    const resourcesOf = ({ client_id }: ClientMetadata) =>
      rows.find(({ id }) => id === client_id)?.metadata['resources']
    expect(resourcesOf(created.one)).toEqual([mail, misnamed, notes])
    expect(resourcesOf(created.bounded)).toEqual([mail])
    for (const client of [created.open, created.admin, created.people, self.json as ClientMetadata]) {
      expect(resourcesOf(client)).toBeUndefined()
    }
    postern.server.postern.clients.forget(created.one.client_id)
    expect(said(await ask(created.one, { resource: notes }))).toEqual([200, 'read'])
  })
})

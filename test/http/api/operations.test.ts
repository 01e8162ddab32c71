import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { describeApi } from '../../../src/admin/openapi.ts'
import { operations } from '../../../src/admin/operations/index.ts'
import { version } from '../../../src/assemble/version.ts'
import { problemKinds } from '../../../src/http/api/problems.ts'
import * as outbox from '../../../src/stores/operations/outbox.ts'
import { adminToken, call, createAdministrator } from '../../support/admin.ts'
import { eventually } from '../../support/eventually.ts'
import { answer, type MailServer, startMailServer } from '../../support/mail-server.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createToken, registered } from '../../support/registration.ts'
import { login } from '../../support/relying-party.ts'
import { type Answer, send } from '../../support/wire.ts'

type Schema = Record<string, unknown>
type Described = {
  operationId: string
  security: { oauth: string[] }[]
  parameters?: { name: string; in: string }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>
}
type Document = {
  openapi: string
  servers: { url: string }[]
  paths: Record<string, Record<string, Described>>
  components: { schemas: { Problem: Schema & { properties: { type: { enum: string[] } } } } }
}
/** How an operation is called: the values in its path, its query and its body. */
type Example = { path?: Record<string, string>; query?: string; body?: unknown }
/** The contents of the answers so far. */
type Known = Record<string, Record<string, unknown>>

const redirect_uris = ['https://rp.example/cb']
const resource = 'https://API.example/v1?x=1' // with everything that must survive in a path
const secret = 'a secret of forty characters, chosen here'
const id = (known: Known, operation: string, field = 'client_id') => String(known[operation]?.[field])

// Every operation, ordered so that each finds what it needs. The test below fails if one is missing here.
const examples: [operationId: string, example: (known: Known) => Example][] = [
  [
    'accountCreate',
    () => ({ body: { email: 'ada@example.com', password: 'correct horse', claims: { groups: ['a'] } } }),
  ],
  ['accountList', () => ({ query: '?limit=1' })],
  ['accountShow', () => ({ path: { account: 'ada@example.com' } })],
  ['accountUpdate', () => ({ path: { account: 'ada@example.com' }, body: { email: 'lovelace@example.com' } })],
  ['accountSetPassword', () => ({ path: { account: 'lovelace@example.com' }, body: { password: 'battery staple' } })],
  ['accountRequirePasswordChange', (known) => ({ path: { account: id(known, 'accountCreate', 'id') } })],
  ['accountSignOut', (known) => ({ path: { account: id(known, 'accountCreate', 'id') } })],
  ['accountAddToGroup', (known) => ({ path: { account: id(known, 'accountCreate', 'id') }, body: { group: 'b/1' } })],
  ['accountInvite', () => ({ body: { email: 'invited@example.com', groups: ['a'] } })],
  ['accountImport', () => ({ body: { accounts: [{ email: 'imported@example.com' }, { email: 'nobody' }] } })],
  ['groupList', () => ({ query: '?limit=1' })],
  [
    'accountRemoveFromGroup',
    (known) => ({ path: { account: id(known, 'accountCreate', 'id') }, body: { group: 'b/1' } }),
  ],
  ['accountDisable', (known) => ({ path: { account: id(known, 'accountCreate', 'id') } })],
  ['accountEnable', (known) => ({ path: { account: id(known, 'accountCreate', 'id') } })],
  ['grantList', () => ({ query: '?limit=5' })],
  ['grantRevoke', (known) => ({ path: { id: id(known, 'grant', 'id') } })],
  ['clientCreate', () => ({ body: { client_name: 'App', redirect_uris } })],
  ['clientList', () => ({ query: '?limit=2' })],
  ['clientShow', (known) => ({ path: { client_id: id(known, 'clientCreate') } })],
  ['clientUpdate', (known) => ({ path: { client_id: id(known, 'clientCreate') }, body: { client_name: 'Renamed' } })],
  [
    'clientRotateSecret',
    (known) => ({ path: { client_id: id(known, 'clientCreate') }, body: { overlap_seconds: 60 } }),
  ],
  ['clientSetSecret', (known) => ({ path: { client_id: id(known, 'clientCreate') }, body: { client_secret: secret } })],
  ['clientRevokeRegistrationToken', (known) => ({ path: { client_id: id(known, 'selfRegistered') } })],
  ['clientDisable', (known) => ({ path: { client_id: id(known, 'clientCreate') } })],
  ['clientEnable', (known) => ({ path: { client_id: id(known, 'clientCreate') } })],
  ['clientDelete', (known) => ({ path: { client_id: id(known, 'clientCreate') } })],
  ['resourceCreate', () => ({ body: { identifier: resource, scopes: { read: 'Read' }, token_format: 'jwt' } })],
  ['resourceList', () => ({})],
  ['resourceShow', () => ({ path: { identifier: resource } })],
  ['resourceUpdate', () => ({ path: { identifier: resource }, body: { name: 'An API' } })],
  ['resourceDelete', () => ({ path: { identifier: resource } })],
  [
    'upstreamCreate',
    () => ({ body: { id: 'work', issuer: 'https://upstream.example', client_id: 'postern', scopes: ['openid'] } }),
  ],
  ['upstreamList', () => ({})],
  ['upstreamShow', () => ({ path: { id: 'work' } })],
  ['upstreamUpdate', () => ({ path: { id: 'work' }, body: { display_name: 'Work', scopes: null } })],
  ['upstreamSetSecret', () => ({ path: { id: 'work' }, body: { secret } })],
  ['upstreamTry', () => ({ path: { id: 'work' }, body: { claims: { email: 'ada@example.com' } } })],
  ['upstreamDisable', () => ({ path: { id: 'work' } })],
  ['upstreamEnable', () => ({ path: { id: 'work' } })],
  ['upstreamDelete', () => ({ path: { id: 'work' } })],
  ['registrationPolicySet', () => ({ path: { name: 'partners' }, body: { rules: { max_clients: 2 } } })],
  ['registrationPolicyList', () => ({})],
  ['registrationPolicyShow', () => ({ path: { name: 'partners' } })],
  ['registrationTokenCreate', () => ({ body: { policy: 'partners', uses: 1, expires: '2d' } })],
  ['registrationTokenList', () => ({})],
  ['registrationTokenRevoke', (known) => ({ path: { id: id(known, 'registrationTokenCreate', 'id') } })],
  ['registrationPolicyDelete', () => ({ path: { name: 'partners' } })],
  ['accountDelete', (known) => ({ path: { account: id(known, 'accountCreate', 'id') } })],
  ['accountErase', (known) => ({ path: { account: id(known, 'accountCreate', 'id') } })],
  ['keysList', () => ({})],
  ['keysRotate', () => ({ body: { purpose: 'ES256' } })],
  ['keysRevoke', (known) => ({ path: { kid: id(known, 'activeKey', 'kid') }, body: {} })],
  ['mailList', () => ({ query: '?status=waiting&limit=2' })],
  ['mailShow', (known) => ({ path: { id: id(known, 'letter', 'id') } })],
  ['mailRetry', (known) => ({ path: { id: id(known, 'letter', 'id') } })],
  ['mailTest', () => ({ body: { to: 'postmaster@example.com' } })],
  ['requestExplain', (known) => ({ path: { request_id: id(known, 'refused', 'request_id') } })],
  ['requestList', () => ({ query: '?limit=3' })],
  ['auditList', () => ({ query: '?limit=3&since=2020-01-01T00:00:00Z' })],
]

let postern: TestPostern
let mailServer: MailServer
let bearer: string
let document: Document
const answers: Record<string, Answer> = {}
const lines: Record<string, Record<string, unknown>[]> = {}

const described = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  )

beforeAll(async () => {
  mailServer = await startMailServer()
  mailServer.behaviour.onRecipient = (address) => {
    if (address.startsWith('later')) throw answer(450, 'Come back later')
  }
  postern = await startPostern({ SMTP_URL: mailServer.url, MAIL_FROM: 'no-reply@example.com' })
  bearer = await adminToken(postern, await createAdministrator(postern))
  document = (await call(postern, '/openapi.json', {})).json as unknown as Document

  await postern.createAccount('grantor@example.com')
  await login(postern, await postern.createClient(), { email: 'grantor@example.com' })
  const [grant = {}] = await postern.database.query('select id from grants')
  const activeKey = postern.server.postern.keyring.signing.find(({ signer }) => signer)
  const selfRegistered = await registered(postern, await createToken(postern))
  const refusal = await send(postern, '/oauth/authorize?client_id=nobody')
  const refused = { request_id: refusal.headers.get('x-request-id') }
  await eventually(async () => expect(await postern.database.query('select 1 from refused_requests')).toHaveLength(1))
  const { database, storage } = postern.server.postern
  const letter = await database.db
    .transaction()
    .execute((tx) => outbox.add(tx, storage.envelope, [{ kind: 'test', to: 'later@example.com' }]))
  await eventually(async () =>
    expect(await postern.database.query('select 1 from outbox where attempts = 1')).toHaveLength(1),
  )
  const known: Known = { grant, letter: { id: letter[0] }, refused, activeKey: { kid: activeKey?.kid }, selfRegistered }
  let [{ seen } = { seen: 0 }] = await postern.database.query('select coalesce(max(id), 0) as seen from audit_events')
  for (const [operationId, example] of examples) {
    const operation = described().find((one) => one.operationId === operationId)
    if (!operation) throw new Error(`${operationId} is not in the document`)
    const { path = {}, query = '', body } = example(known)
    const address = operation.path.replace(/\{(\w+)\}/g, (_match, name) => encodeURIComponent(String(path[name])))
    const answer = await call(postern, address + query, { method: operation.method.toUpperCase(), bearer, body })
    answers[operationId] = answer
    known[operationId] = answer.json
    // The server's own key rotation may happen in between.
    const rows = await postern.database.query(
      `select * from audit_events where id > $1 and actor is distinct from 'system' order by id`,
      [seen],
    )
    lines[operationId] = rows
    seen = rows.at(-1)?.['id'] ?? seen
  }
})
afterAll(async () => {
  await postern?.stop()
  await mailServer?.stop()
})

describe('the OpenAPI document of the admin API', () => {
  test('is generated from the operations', () => {
    expect(document).toEqual(describeApi(operations(), { issuer: postern.issuer, version, problems: problemKinds }))
  })

  test('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate(structuredClone(document) as never)
    expect([result.valid, result.errors ?? []]).toEqual([true, []])
    expect(document.openapi).toMatch(/^3\.1\./)
  })

  test('lists exactly the problems that docs/admin-api.md explains', async () => {
    const text = await readFile(join(import.meta.dirname, '../../../docs/admin-api.md'), 'utf8')
    const table = text.slice(text.indexOf('## Errors')).matchAll(/^\| ((?:`[a-z-]+`(?:, )?)+) \|/gm)
    const explained = [...table].flatMap(([, names = '']) => names.replaceAll('`', '').split(', '))
    const { enum: types } = document.components.schemas.Problem.properties.type
    expect(explained.map((kind) => `urn:postern:problem:${kind}`).sort()).toEqual([...types].sort())
  })

  test('would fail validation if it were invalid', async () => {
    const broken = { ...structuredClone(document), paths: { '/x': { get: { responses: 7 } } } }
    expect((await new Validator().validate(broken as never)).valid).toBe(false)
  })

  test('has every operation once, and an example of each is called below', () => {
    const names = described().map(({ operationId }) => operationId)
    expect(names).toHaveLength(operations().length)
    expect(new Set(names).size).toBe(names.length)
    expect(examples.map(([operationId]) => operationId).sort()).toEqual([...names].sort())
  })

  test('requires an existing scope for each operation, and a reading one for each operation that changes nothing', async () => {
    const { json } = await call({ issuer: postern.issuer }, '/openapi.json', {})
    const { oauth } = (
      json as { components: { securitySchemes: { oauth: { flows: Record<string, { scopes: Schema }> } } } }
    ).components.securitySchemes
    for (const { operationId, method, security } of described()) {
      const [scope = ''] = security[0]?.oauth ?? []
      expect(oauth.flows['clientCredentials']?.scopes, operationId).toHaveProperty(scope)
      expect(scope.endsWith(':read') || scope === 'postern:audit', operationId).toBe(method === 'get')
    }
  })
})

describe('each operation over HTTP', () => {
  test.each(examples.map(([operationId]) => operationId))('%s answers as documented', (operationId) => {
    const operation = described().find((one) => one.operationId === operationId)
    const { status, json, text, headers } = answers[operationId] as Answer
    const response = operation?.responses[String(status)]
    expect(response, text).toBeDefined()
    expect(headers.get('cache-control')).toBe('no-store')
    const schema = response?.content?.['application/json']?.schema
    if (schema) expect(z.fromJSONSchema(schema as never).safeParse(json).error?.issues ?? []).toEqual([])
    else expect([status, text]).toEqual([204, ''])
  })

  test.each(examples.map(([operationId]) => operationId))(
    '%s writes one audit event if it changes something',
    (operationId) => {
      const isReading = described().find((one) => one.operationId === operationId)?.method === 'get'
      const rows = lines[operationId] ?? []
      expect(rows).toHaveLength(isReading ? 0 : 1)
      for (const row of rows) {
        expect(row).toMatchObject({ actor: expect.stringMatching(/^client:/), address: expect.any(String) })
        expect(row['request_id']).toBe(answers[operationId]?.headers.get('x-request-id'))
      }
    },
  )

  test('shows a secret when it is created, and never again', () => {
    const makers = ['clientCreate', 'clientRotateSecret', 'resourceCreate', 'registrationTokenCreate']
    const shown = makers.map((operationId) => {
      const { json } = answers[operationId] as Answer
      return String(json['client_secret'] ?? json['initial_access_token'])
    })
    for (const value of shown) expect(value).toMatch(/^[\w-]{43,}$/)
    const rest = Object.entries(answers).filter(([name]) => !makers.includes(name))
    for (const [name, { text }] of rest) {
      for (const value of [...shown, secret, 'correct horse', 'battery staple'])
        expect(text.includes(value), name).toBe(false)
    }
    const log = postern.logged.join('\n')
    for (const value of [...shown, secret, 'correct horse', 'battery staple', bearer]) expect(log).not.toContain(value)
    expect(log).not.toContain('lovelace') // nor anyone's identity
  })

  test('has its documented effect', async () => {
    expect(answers['accountUpdate']?.json).toMatchObject({ email: 'lovelace@example.com' })
    expect(answers['resourceShow']?.json).toMatchObject({ identifier: resource, token_format: 'jwt' })
    expect(answers['clientUpdate']?.json).toMatchObject({ client_name: 'Renamed' })
    for (const [path, gone] of [
      ['clients', id({ c: answers['clientCreate']?.json ?? {} }, 'c')],
      ['resources', resource],
      ['accounts', 'lovelace@example.com'],
      ['registration-policies', 'partners'],
    ] as const) {
      expect((await call(postern, `/${path}/${encodeURIComponent(gone)}`, { bearer })).status).toBe(404)
    }
  })
})

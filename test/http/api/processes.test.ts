import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminScopes } from '../../../src/oidc/admin-resource.ts'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { type Fleet, type ServerProcess, startFleet } from '../../support/processes.ts'
import { basic } from '../../support/wire.ts'

const redirect_uris = ['https://rp.example/cb']

let fleet: Fleet
let token: string

beforeAll(async () => {
  fleet = await startFleet()
  token = await tokenOf(await createAdministrator())
})
afterAll(() => fleet?.stop())

const createAdministrator = () =>
  fleet.createClient({
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: Object.keys(adminScopes).join(' '),
  })

async function tokenOf(client: ClientMetadata): Promise<string> {
  const response = await fleet.processes[0].fetch(`${fleet.issuer}/oauth/token`, {
    method: 'POST',
    headers: { authorization: basic(client.client_id, String(client['client_secret'])) },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      resource: `${fleet.issuer}/admin/api`,
      scope: 'postern:clients',
    }),
  })
  return String(((await response.json()) as Record<string, unknown>)['access_token'])
}

async function create(process: ServerProcess, key: string, body: unknown) {
  const response = await process.fetch(`${fleet.issuer}/admin/api/clients`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    },
    body: JSON.stringify(body),
  })
  const isReplayed = response.headers.get('idempotent-replayed') === 'true'
  return { status: response.status, isReplayed, json: (await response.json()) as Record<string, unknown> }
}

const at = (index: number) => fleet.processes[index % 2] as ServerProcess
const count = async (table: string, where = 'true') =>
  Number((await fleet.database.query(`select count(*) as n from ${table} where ${where}`))[0]?.['n'])

describe('the admin API of two processes', () => {
  test('creates once for a key at either process, and all requests get the same answer', async () => {
    for (let round = 0; round < 5; round++) {
      const clients = await count('clients')
      const events = await count('audit_events', `type = 'client.registered'`)
      const asked = Array.from({ length: 12 }, (_, index) => create(at(index), `race ${round}`, { redirect_uris }))
      const answers = await Promise.all(asked)
      expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(201))
      expect(answers.filter(({ isReplayed }) => !isReplayed)).toHaveLength(1)
      expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBe(1)
      expect(await count('clients')).toBe(clients + 1)
      expect(await count('audit_events', `type = 'client.registered'`)).toBe(events + 1)
    }
  })

  test('performs one of two different requests that race for a key, and rejects the other', async () => {
    for (let round = 0; round < 5; round++) {
      const clients = await count('clients')
      const names = ['One', 'Two']
      const asked = names.map((client_name, index) =>
        create(at(index), `rivals ${round}`, { client_name, redirect_uris }),
      )
      const answers = await Promise.all(asked)
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 422])
      expect(await count('clients')).toBe(clients + 1)
    }
  })

  test('leaves a key unused if the request that took it first is rejected', async () => {
    const clients = await count('clients')
    const bad = { redirect_uris: ['http://rp.example/cb'] }
    const asked = [bad, bad, bad, bad].map((body, index) => create(at(index), 'spoiled', body))
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(4).fill(422))
    expect(await count('clients')).toBe(clients)
    expect(await create(at(1), 'spoiled', { redirect_uris })).toMatchObject({ status: 201, isReplayed: false })
  })

  test.each(['disable', 'delete'])(
    'rejects the token of a client immediately after its %s at the other process',
    async (verb) => {
      const client = await createAdministrator()
      const own = await tokenOf(client)
      const list = (process: ServerProcess) =>
        process.fetch(`${fleet.issuer}/admin/api/clients?limit=1`, { headers: { authorization: `Bearer ${own}` } })
      expect((await list(at(1))).status).toBe(200)
      const path = `${fleet.issuer}/admin/api/clients/${encodeURIComponent(client.client_id)}`
      const headers = { authorization: `Bearer ${token}` }
      const done =
        verb === 'delete'
          ? await at(0).fetch(path, { method: 'DELETE', headers })
          : await at(0).fetch(`${path}/disable`, { method: 'POST', headers })
      expect(done.ok).toBe(true)
      expect((await list(at(1))).status).toBe(401)
    },
  )
})

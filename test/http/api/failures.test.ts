import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type DatabaseProxy, startProxy } from '../../faults/proxy.ts'
import { adminToken, call, createAdministrator } from '../../support/admin.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'

const body = { redirect_uris: ['https://rp.example/cb'] }
let database: TestDatabase
let proxy: DatabaseProxy
let postern: TestPostern
let bearer: string

beforeAll(async () => {
  proxy = await startProxy(inject('postgresUrl'))
  database = await createDatabase()
  const ENCRYPTION_KEYS = randomBytes(32).toString('base64')
  postern = await startPostern({ DATABASE_URL: proxy.urlOf(database.url), ENCRYPTION_KEYS })
  proxy.onlyRequestsOf(postern)
  bearer = await adminToken(postern, await createAdministrator(postern))
})
afterAll(async () => {
  await postern?.stop()
  await proxy?.close()
  await database?.drop()
})

describe('when something is wrong with the server', () => {
  test('an unreachable database causes 503 and Retry-After, never an invalid token', async () => {
    proxy.refuse()
    try {
      for (const asked of [{ bearer }, { bearer, body }, { bearer, body, headers: { 'idempotency-key': 'away' } }]) {
        const answer = await call(postern, '/clients', asked)
        expect([answer.status, answer.json['type']]).toEqual([503, 'urn:postern:problem:unavailable'])
        expect(answer.headers.get('content-type')).toBe('application/problem+json')
        expect(answer.headers.get('cache-control')).toBe('no-store')
        expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
        expect(answer.headers.get('www-authenticate')).toBeNull()
      }
    } finally {
      proxy.accept()
    }
    await expect.poll(async () => (await call(postern, '/clients', { bearer })).status).toBe(200)
  })

  test('a connection that breaks within an operation causes 503 and leaves nothing of it', async () => {
    const cut = proxy.cut({ match: (statement) => /insert into "audit_events"/.test(statement), when: 'before' })
    const asked = { bearer, body: { ...body, client_name: 'Half' }, headers: { 'idempotency-key': 'broken' } }
    const answer = await call(postern, '/clients', asked)
    await cut
    proxy.heal()
    expect([answer.status, answer.json['type']]).toEqual([503, 'urn:postern:problem:unavailable'])
    const half = () => database.query(`select id from clients where metadata->>'client_name' = 'Half'`)
    expect(await half()).toEqual([])
    await expect.poll(async () => (await call(postern, '/clients', asked)).status).toBe(201)
    expect(await half()).toHaveLength(1)
  })

  test('a request with the same key finds out whether an operation was done, and gets its secret', async () => {
    const cut = proxy.cut({ match: (statement) => /^commit/i.test(statement), when: 'after' })
    const asked = { bearer, body: { ...body, client_name: 'Done' }, headers: { 'idempotency-key': 'lost' } }
    const answer = await call(postern, '/clients', asked)
    await cut
    proxy.heal()
    expect(answer.status).toBe(503)
    await expect.poll(async () => (await call(postern, '/clients', asked)).status).toBe(201)
    const again = await call(postern, '/clients', asked)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.json['client_secret']).toMatch(/^[\w-]{43,}$/)
    expect(await database.query(`select id from clients where metadata->>'client_name' = 'Done'`)).toHaveLength(1)
  })

  test('an error of the server causes 500 with only a reference to the log', async () => {
    await database.query('alter table registration_policies rename to elsewhere')
    try {
      const answer = await call(postern, '/registration-policies', { bearer })
      expect([answer.status, answer.json]).toEqual([
        500,
        {
          type: 'urn:postern:problem:server-error',
          title: 'Something went wrong',
          status: 500,
          instance: `urn:postern:request:${answer.headers.get('x-request-id')}`,
        },
      ])
      const line = postern.logged.find(
        (entry) =>
          entry.includes(String(answer.headers.get('x-request-id'))) && entry.includes('registration_policies'),
      )
      expect(line).toContain('an operation failed')
    } finally {
      await database.query('alter table elsewhere rename to registration_policies')
    }
  })

  test('a stored row that does not fit the document is an error of the server, not of the request', async () => {
    const rules = { max_uris: 7 }
    await call(postern, '/registration-policies/broken', { method: 'PUT', bearer, body: { rules } })
    await database.query(`update registration_policies set rules = '{"max_uris":"seven"}' where name = 'broken'`)
    const answer = await call(postern, '/registration-policies/broken', { bearer })
    expect([answer.status, answer.json['type']]).toEqual([500, 'urn:postern:problem:server-error'])
    expect(answer.text).not.toContain('max_uris')
  })
})

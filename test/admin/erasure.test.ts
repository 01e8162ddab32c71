import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from '../../src/config/index.ts'
import * as retention from '../../src/stores/operations/audit-retention.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const query = (text: string, values: unknown[] = []) => postern.database.query(text, values)
const db = () => postern.server.postern.database.db
let people = 0

/** Creates an account that has signed in and left traces. */
async function person(): Promise<{ id: string; email: string }> {
  const email = `erased-${people++}@example.com`
  const { id } = await postern.createAccount(email, { name: 'Ada Lovelace' })
  await login(postern, await postern.createClient(), { email, scope: 'openid email offline_access' })
  return { id, email }
}

describe('account erase', () => {
  test('leaves nothing in the database that identifies the account, and keeps its events under a made-up name', async () => {
    const { id, email } = await person()
    const before = await query('select id, type from audit_events where account_id = $1 order by id', [id])
    expect(before.length).toBeGreaterThan(2)
    const { pseudonym, events } = (await operate(postern, 'account erase', { account: email })) as {
      pseudonym: string
      events: number
    }
    expect(pseudonym).toMatch(/^erased:[\w-]{16}$/)
    expect(events).toBe(before.length)

    const after = await query('select * from audit_events where account_id = $1 order by id', [pseudonym])
    expect(after.slice(0, -1).map(({ id: event, type }) => ({ id: event, type }))).toEqual(before)
    for (const event of after.slice(0, -1)) expect(event).toMatchObject({ address: null, request_id: null })
    expect(after.at(-1)).toMatchObject({ type: 'account.erased', actor: 'operator:test' })

    const tables = await query(`select tablename from pg_tables where schemaname = 'public'`)
    for (const { tablename } of tables) {
      const rows = await query(`select row_to_json(t)::text as row from "${tablename}" t`)
      for (const { row } of rows) {
        expect(row, String(tablename)).not.toContain(id)
        expect(row, String(tablename)).not.toContain(email)
      }
    }
  })

  test('also erases an account that was deleted before, by its id', async () => {
    const { id } = await person()
    await operate(postern, 'account delete', { account: id })
    await operate(postern, 'account erase', { account: id })
    expect(await query('select 1 from audit_events where account_id = $1', [id])).toEqual([])
  })

  test('reports an account that never existed as unknown', async () => {
    for (const account of ['nobody', 'nobody@example.com', 'erased:x']) {
      await expect(operate(postern, 'account erase', { account })).rejects.toThrow(`There is no account ${account}.`)
    }
  })
})

describe('the audit is append-only', () => {
  const erasing = (account: string) => `set local postern.erased_account = '${account}'`
  const attempt = (...statements: string[]) => query(`begin; ${statements.join('; ')}; commit`)

  test('for an account that exists, whatever erasure is announced', async () => {
    const { id } = await person()
    const update = `update audit_events set account_id = 'erased:me', address = null, request_id = null where account_id = '${id}'`
    await expect(attempt(erasing(id), update)).rejects.toThrow('append-only')
  })

  test.each([
    ['no erasure is announced', '', `account_id = 'erased:me', address = null, request_id = null`],
    ['another account is announced', 'other', `account_id = 'erased:me', address = null, request_id = null`],
    [
      'the change would attribute the event to another account',
      'it',
      `account_id = 'somebody', address = null, request_id = null`,
    ],
    [
      'the change would attribute the event to no account',
      'it',
      'account_id = null, address = null, request_id = null',
    ],
    ['the change would keep the address', 'it', `account_id = 'erased:me', request_id = null`],
    [
      'the change would alter the type',
      'it',
      `account_id = 'erased:me', address = null, request_id = null, type = 'x'`,
    ],
    [
      'the change would alter the time',
      'it',
      `account_id = 'erased:me', address = null, request_id = null, occurred_at = now()`,
    ],
    [
      'the change would alter the details',
      'it',
      `account_id = 'erased:me', address = null, request_id = null, details = '{"a":1}'`,
    ],
  ])('for a deleted account, when %s', async (_, announced, change) => {
    const { id } = await person()
    await operate(postern, 'account delete', { account: id })
    const announcement = announced === '' ? 'select 1' : erasing(announced === 'it' ? id : announced)
    await expect(attempt(announcement, `update audit_events set ${change} where account_id = '${id}'`)).rejects.toThrow(
      'append-only',
    )
  })

  test('for events younger than the retention time, which is at least a day', async () => {
    const type = `old-${randomBytes(4).toString('hex')}`
    const add = (age: string) =>
      query(`insert into audit_events (occurred_at, type) values (now() - $1::interval, $2)`, [age, type])
    await add('12 hours')
    await add('25 hours')
    const deleting = (kept: number, where: string) =>
      attempt(
        `set local postern.audit_kept_seconds = '${kept}'`,
        `delete from audit_events where type = '${type}' and ${where}`,
      )
    await expect(query(`delete from audit_events where type = '${type}'`)).rejects.toThrow('append-only')
    await expect(deleting(1, `occurred_at > now() - interval '1 day'`)).rejects.toThrow('append-only')
    await expect(deleting(172_800, 'true')).rejects.toThrow('append-only')
    await deleting(1, `occurred_at < now() - interval '1 day'`)
    expect(await query('select 1 from audit_events where type = $1', [type])).toHaveLength(1)
  })
})

describe('AUDIT_RETENTION_SECONDS', () => {
  test('makes the sweep delete older events, in batches, and nothing else', async () => {
    const type = `kept-${randomBytes(4).toString('hex')}`
    await query(
      `insert into audit_events (occurred_at, type) select now() - n * interval '1 day', $1 from generate_series(1, 9) n`,
      [type],
    )
    const deleted = () =>
      db()
        .transaction()
        .execute((tx) => retention.deleteOlder(tx, { seconds: 5 * 86_400 + 3_600, limit: 3 }))
    expect([await deleted(), await deleted()]).toEqual([3, 1])
    expect(await query('select 1 from audit_events where type = $1', [type])).toHaveLength(5)
  })

  test('keeps all events by default, and cannot be less than a day', () => {
    expect(parse({}).AUDIT_RETENTION_SECONDS).toBe(0)
    expect(parse({ AUDIT_RETENTION_SECONDS: '365d' }).AUDIT_RETENTION_SECONDS).toBe(31_536_000)
    expect(() => parse({ AUDIT_RETENTION_SECONDS: '1h' })).toThrow('AUDIT_RETENTION_SECONDS must be at least 1d, or 0')
  })
})

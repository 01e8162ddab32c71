import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { beforeEach, describe, expect, test } from 'vitest'
import { assemble } from '../../src/assemble/index.ts'
import { parse } from '../../src/config/index.ts'
import { createEnvelope, type Envelope } from '../../src/crypto/envelope.ts'
import { createLogger } from '../../src/log/index.ts'
import { secret } from '../../src/secret.ts'
import * as sessions from '../../src/stores/protocol/sessions.ts'
import { postern } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { inherited } from '../support/inherited.ts'
import { environmentFor } from '../support/postern.ts'

const newKey = () => randomBytes(32).toString('base64')
const [older, newer] = [newKey(), newKey()]
const [before, after] = [older, newer].map((key) => createEnvelope([secret(key)])) as [Envelope, Envelope]

let database: TestDatabase
let env: Record<string, string>

beforeEach(async () => {
  const created = await createDatabase()
  database = created
  env = { ...(await environmentFor(created.url)), ENCRYPTION_KEYS: older }
  return () => created.drop()
})

const secrets = (verb: string, keys: string, ...args: string[]) =>
  postern(['secrets', verb, ...args], { env: { ...env, ENCRYPTION_KEYS: keys } })

/** Starts with these keys and stops. */
async function startWith(keys: string): Promise<'started' | 'refused'> {
  try {
    await (await assemble(parse({ ...env, ENCRYPTION_KEYS: keys }), { log: createLogger('silent') })).close()
    return 'started'
  } catch {
    return 'refused'
  }
}

/** Inserts sessions with a sealed state, as a server that asked people whether to sign out has them. */
async function plantSessions(count: number, envelope: Envelope): Promise<void> {
  const uids = Array.from({ length: count }, () => randomBytes(16).toString('base64url'))
  await database.query(
    `insert into sessions (uid, id_hash, payload, expires_at, created_at)
     select uid, sha256(uid::bytea), jsonb_build_object('state', state), now() + interval '1 day', now()
     from unnest($1::text[], $2::text[]) as n(uid, state)`,
    [uids, uids.map((uid) => envelope.seal('{"secret":"s"}', sessions.stateIdentity(uid)))],
  )
}

const countUnder = async ({ sealingKeyId }: Envelope) => {
  const [row] = await database.query(`select count(*)::int as n from sessions where payload->>'state' like $1`, [
    `v1.${sealingKeyId}.%`,
  ])
  return Number(row?.['n'])
}

/** Returns the number of connections that Postern has. */
const connections = async () => {
  const [row] = await database.query(
    `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = 'postern'`,
  )
  return Number(row?.['n'])
}

describe('postern secrets rotate', () => {
  test('encrypts everything under the first key, and reports how much and that the other key is unnecessary', async () => {
    await startWith(older)
    await plantSessions(3, before)
    const { code, stdout, stderr } = await secrets('rotate', `${newer},${older}`)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`Encrypted again under ${after.sealingKeyId}:\n`)
    expect(stdout).toMatch(/^ {2}keys\.sealed {13,}\d+$/m)
    expect(stdout).toMatch(/^ {2}sessions\.payload\.state +3$/m)
    expect(stdout).toContain(`Nothing needs ${before.sealingKeyId} now`)
    expect(await startWith(newer)).toBe('started')
    const [{ actor } = {}] = await database.query(`select actor from audit_events where type = 'secrets.rotated'`)
    expect(actor).toMatch(/^operator:./)
  })

  test('says that there is nothing to do with a single key', async () => {
    const { code, stdout } = await secrets('rotate', older)
    expect([code, stdout]).toEqual([
      0,
      `Everything was already encrypted under ${before.sealingKeyId}.\n\nENCRYPTION_KEYS, or ENCRYPTION_KEYS_FILE, needs only the first key.\n`,
    ])
  })

  test('ends with status 1 when a value cannot be read, names it, and advises to keep the keys', async () => {
    await startWith(older)
    await plantSessions(2, before)
    await database.query(
      `update sessions set payload = '{"state":"v1.deadbeef.AAAA.AAAA"}' where uid = (select min(uid) from sessions)`,
    )
    const { code, stdout } = await secrets('rotate', `${newer},${older}`)
    expect(code).toBe(1)
    expect(stdout).toMatch(/^ {2}sessions\.state:[\w-]{22} is sealed with key deadbeef, which is not in/m)
    expect(stdout).toContain('Keep all keys until then.')
    expect(stdout).not.toContain('needs only the first key')
    expect(await countUnder(after)).toBe(1)
    expect(await startWith(newer)).toBe('refused')
  })

  test('can be killed in the middle, and continues from there', async () => {
    await startWith(older)
    await plantSessions(2_000, before)
    // The second statement waits until the command is dead. PostgreSQL itself would end it after ten seconds.
    await database.query('create table is_alive ()')
    await database.query('insert into is_alive default values')
    await database.query(`create function dawdle() returns trigger language plpgsql as $$
      begin
        if exists (select from sessions where payload->>'state' like 'v1.${after.sealingKeyId}.%') then
          while exists (select from is_alive) loop perform pg_sleep(0.02); end loop;
        end if;
        return null;
      end $$`)
    await database.query('create trigger dawdle before update on sessions execute function dawdle()')
    const rotating = spawn(process.execPath, ['src/cli.ts', 'secrets', 'rotate'], {
      env: { ...inherited, ...env, ENCRYPTION_KEYS: `${newer},${older}` },
    })
    await expect.poll(() => countUnder(after)).toBeGreaterThan(0)
    rotating.kill('SIGKILL')
    const [, signal] = await once(rotating, 'close')
    expect(signal).toBe('SIGKILL')
    await database.query('delete from is_alive')
    await expect.poll(connections).toBe(0) // a statement already sent is still carried out
    const left = await countUnder(before)
    expect(left).toBeGreaterThan(0)
    expect(left + (await countUnder(after))).toBe(2_000)
    expect(await startWith(newer)).toBe('refused')

    await database.query('drop trigger dawdle on sessions')
    const { code, stdout } = await secrets('rotate', `${newer},${older}`)
    expect(code).toBe(0)
    expect(stdout).toMatch(new RegExp(`^ {2}sessions\\.payload\\.state +${left}$`, 'm'))
    expect(await countUnder(after)).toBe(2_000)
    expect(await startWith(newer)).toBe('started')
  })
})

describe('postern secrets list', () => {
  test('shows each key by its id, with the day it was first noted, whether it encrypts, and the number of values under it', async () => {
    await startWith(older)
    await plantSessions(2, before)
    await plantSessions(1, after)
    await database.query(`insert into sessions (uid, id_hash, payload, expires_at, created_at)
      values ('a', '', '{"state":"v1.deadbeef.x.y"}', now(), now()), ('b', '1', '{"state":"in clear"}', now(), now())`)
    const { code, stdout } = await secrets('list', `${newer},${older}`)
    const [{ n } = {}] = await database.query('select count(*)::int as n from keys where sealed is not null')
    const today = new Date().toISOString().slice(0, 10)
    expect(code).toBe(0)
    expect(
      stdout.split('\n').map((line) =>
        line
          .trim()
          .replace(/T[\d:.]+Z/, '')
          .split(/ {2,}/),
      ),
    ).toEqual([
      ['Key', 'Noted since', 'Values'],
      [after.sealingKeyId, today, '1', 'encrypts'],
      [before.sealingKeyId, today, String(Number(n) + 2)],
      ['deadbeef', '–', '1', 'not in ENCRYPTION_KEYS'],
      ['(damaged)', '–', '1'],
      [''],
    ])
    for (const key of [older, newer]) expect(stdout).not.toContain(key)
  })
})

test('postern secrets rotate and list have help and take no options', async () => {
  const help = await secrets('rotate', older, '--help')
  expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('postern secrets rotate: Encrypt everything')])
  const wrong = await secrets('list', older, '--force')
  expect([wrong.code, wrong.stdout]).toEqual([2, ''])
  expect(wrong.stderr).toContain('Usage: postern secrets list')
})

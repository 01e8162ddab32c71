import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCanaries } from '../support/canaries.ts'
import { circulate } from '../support/circulation.ts'
import { handOut } from '../support/handed-out.ts'
import { openMails } from '../support/mails.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const email = 'ada@example.com'
const marker = `marker-${randomUUID()}`

/** Values that must not be found. */
const canaries = createCanaries()
/** Values that must be found; otherwise the search proves nothing. */
const markers = createCanaries()
/** Every row that existed after some step of the scenario, by table. */
const rows = new Map<string, Set<string>>()
let postern: TestPostern

/** Collects every row of every table as text, with binary columns in hexadecimal. */
async function dump(): Promise<void> {
  const tables = await postern.database.query(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema')`,
  )
  for (const { name } of tables) {
    const found = await postern.database.query(`select t::text as row from ${name} t`)
    const seen = rows.get(String(name)) ?? new Set()
    for (const { row } of found) seen.add(String(row))
    rows.set(String(name), seen)
  }
}

beforeAll(async () => {
  postern = await startPostern({ SIGN_IN_BY_CODE: 'true' })
  markers.collect('nickname', marker)
  await postern.createAccount(email, { nickname: marker })
  canaries.collectSecretsOf('keyring', postern.server.postern.keyring)
  canaries.collectSecretsOf('setting', postern.config)
  const scene = { postern, canaries, client: await postern.createClient(), email, afterStep: dump }
  await circulate(scene)
  await handOut(scene)
  await openMails(scene)
})
afterAll(() => postern?.stop())

describe('a search through a stolen database and log', () => {
  test('looks for values of every kind, in rows of every kind', () => {
    const kinds = [...canaries.kinds().keys()]
    for (const kind of [
      'cookie postern_session',
      'cookie postern_interaction',
      'cookie postern_resume',
      'cookie postern_browser',
      'signature of a cookie',
      'interaction',
      'code',
      'access_token',
      'refresh_token',
      'id_token',
      'device_code',
      'user_code',
      'user_code without its dash',
      'request_uri',
      'client_secret',
      'previous client_secret',
      'client_secret in a stored answer',
      'registration_access_token',
      'initial_access_token',
      'DPoP proof',
      'client assertion',
      'cursor',
      'csrf of a form',
      'xsrf of a form',
      'setting: ENCRYPTION_KEYS 1',
      'keyring: cookieKeys',
      'keyring: pairwiseSalt',
      'token of a link',
    ])
      expect(kinds, kind).toContain(kind)

    for (const model of [
      'AuthorizationCode',
      'AccessToken',
      'RefreshToken',
      'DeviceCode',
      'Interaction',
      'PushedAuthorizationRequest',
      'RegistrationAccessToken',
    ])
      expect(
        [...(rows.get('public.artifacts') ?? [])].some((row) => row.includes(`,${model},`)),
        model,
      ).toBe(true)
    for (const table of [
      'sessions',
      'grants',
      'replays',
      'throttles',
      'audit_events',
      'keys',
      'registration_tokens',
      'confirmations',
      'outbox',
      'idempotency_keys',
    ])
      expect(rows.get(`public.${table}`)?.size, table).toBeGreaterThan(0)
    expect(postern.logged.length).toBeGreaterThan(0)
  })

  test('finds a planted value in a document, in binary, in part, and escaped in a line', async () => {
    const binary = `marker-${randomUUID()}`
    markers.collect('binary', binary)
    await postern.database.query(
      'insert into throttles (key_hash, failures, blocked_until, expires_at) values ($1, 0, now(), now())',
      [Buffer.from(binary)],
    )
    await dump()
    const found = [...rows.values()].flatMap((seen) => [...seen]).flatMap(markers.foundIn)
    expect(new Set(found)).toEqual(new Set(['nickname', 'binary']))
    markers.collect('spaced', 'five little words in here')
    expect(markers.foundIn('{"path":"/x?token=five%20little%20words%20in%20here"}')).toEqual(['spaced'])
    expect(markers.foundIn('Unexpected token, ..."little words"... is not valid JSON')).toEqual(['spaced'])
    expect(markers.foundIn(`marker-${randomUUID()}`)).toEqual([])
  })

  test('finds no usable value in any row of any table', () => {
    const found = [...rows].flatMap(([table, seen]) =>
      [...seen].flatMap((row) => canaries.foundIn(row).map((kind) => `${kind} in ${table}: ${row}`)),
    )
    expect(found).toEqual([])
    const values = [...canaries.kinds().values()].reduce((sum, count) => sum + count, 0)
    const searched = [...rows.values()].reduce((sum, { size }) => sum + size, 0)
    console.info(`looked for ${values} values in ${searched} rows`)
  })

  test('finds no usable value in any log line, down to trace', () => {
    const found = postern.logged.flatMap((line) => canaries.foundIn(line).map((kind) => `${kind} in ${line}`))
    expect(found).toEqual([])
  })
})

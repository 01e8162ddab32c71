import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { assemble } from '../../src/assemble/index.ts'
import { parse } from '../../src/config/index.ts'
import { createEnvelope } from '../../src/crypto/envelope.ts'
import { createLogger } from '../../src/log/index.ts'
import { secret } from '../../src/secret.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import * as sessions from '../../src/stores/protocol/sessions.ts'
import { type Outcome, posternProcess } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { dumpOf } from '../support/dump.ts'
import { operateOn } from '../support/operator.ts'
import { createClient, environmentFor, freePort, password } from '../support/postern.ts'
import { type Fetch, type ServerProcess, serverProcess } from '../support/processes.ts'
import { login, type Reachable, refresh } from './journey.ts'

const email = 'ada@example.com'
const newKey = () => randomBytes(32).toString('base64')
const [older, newer] = [newKey(), newKey()]
const before = createEnvelope([secret(older)])

type Place = { process: ServerProcess; underway: number }

let database: TestDatabase
let env: Record<string, string>
let client: ClientMetadata
let places: Place[] = []
const failures: string[] = []
const done = { logins: 0, refreshes: 0 }

/** Starts a process with these keys. */
async function begin(keys: string): Promise<Place> {
  const port = await freePort()
  const settings = { ...env, ENCRYPTION_KEYS: keys, PORT: String(port), LOG_LEVEL: 'warn' }
  const process = serverProcess(settings, port, String(env['ISSUER']))
  await process.start()
  return { process, underway: 0 }
}

/** Replaces the processes one by one, as a rollout does: a process that is about to stop gets no request. */
async function rollOut(keys: string): Promise<void> {
  for (const old of [...places]) {
    places.push(await begin(keys))
    places = places.filter((place) => place !== old)
    await expect.poll(() => old.underway).toBe(0)
    await old.process.stop()
  }
}

/** Sends each request to a random process, as a load balancer does. */
const balanced: Fetch = async (input, init) => {
  const place = places[Math.floor(Math.random() * places.length)]
  if (!place) throw new Error('there is no process')
  place.underway += 1
  try {
    return await place.process.fetch(input, init)
  } finally {
    place.underway -= 1
  }
}

/** Signs in and refreshes until told to stop, and records every failure. */
async function goOn(isStopped: () => boolean): Promise<void> {
  const anywhere: Reachable = { issuer: String(env['ISSUER']), fetch: balanced }
  while (!isStopped()) {
    try {
      let { refreshToken } = await login(anywhere, client, { email })
      done.logins += 1
      for (let turn = 0; turn < 3; turn++) {
        const { status, json, text } = await refresh(anywhere, client, refreshToken)
        if (status !== 200) throw new Error(text)
        refreshToken = String(json['refresh_token'])
        done.refreshes += 1
        await sleep(50) // leaves time for the processes that are starting
      }
    } catch (error) {
      failures.push(String(error))
    }
  }
}

beforeAll(async () => {
  database = await createDatabase()
  env = await environmentFor(database.url)
  const operator = await assemble(parse({ ...env, ENCRYPTION_KEYS: older }), { log: createLogger('silent') })
  await operateOn(operator, 'account create', { email, password })
  client = await createClient(operator, {})
  await operator.close()
  const uids = Array.from({ length: 3_000 }, () => randomBytes(16).toString('base64url'))
  await database.query(
    `insert into sessions (uid, id_hash, payload, expires_at, created_at)
     select uid, sha256(uid::bytea), jsonb_build_object('state', state), now() + interval '1 day', now()
     from unnest($1::text[], $2::text[]) as n(uid, state)`,
    [uids, uids.map((uid) => before.seal('{"secret":"s"}', sessions.stateIdentity(uid)))],
  )
  places = await Promise.all([begin(`${older},${newer}`), begin(`${older},${newer}`)])
})
afterAll(async () => {
  await Promise.all(places.map(({ process }) => process.stop()))
  await database?.drop()
})

test('no login or refresh at two processes fails while one key is replaced by two that rotate at once', async () => {
  let isOver = false
  const load = Array.from({ length: 2 }, () => goOn(() => isOver))
  const rotate = () => posternProcess(['secrets', 'rotate'], { env: { ...env, ENCRYPTION_KEYS: `${newer},${older}` } })

  const early = await rotate()
  expect([early.code, early.stdout]).toEqual([1, expect.stringContaining('Keep all keys until then.')])

  await rollOut(`${newer},${older}`)
  const outcomes: Outcome[] = await Promise.all([rotate(), rotate()])
  for (const { code, stdout, stderr } of outcomes) expect([code, stderr], stdout).toEqual([0, ''])

  await rollOut(newer)
  const atTheEnd = { ...done }
  await expect.poll(() => done.refreshes).toBeGreaterThan(atTheEnd.refreshes + 3)
  isOver = true
  await Promise.all(load)

  console.info(`${done.logins} logins and ${done.refreshes} refreshes, ${failures.length} failures`)
  expect(failures).toEqual([])
  expect(done.logins).toBeGreaterThan(3)
  expect(places.flatMap(({ process }) => process.output).join('\n')).not.toContain('ENCRYPTION_KEYS')
  expect(await dumpOf(database)).not.toContain(`v1.${before.sealingKeyId}.`)
  expect((await database.query('select count(*)::int as n from encryption_keys'))[0]).toEqual({ n: 1 })
}, 180_000)

// Measures how long `postern secrets rotate` takes for many sessions: node bench/secrets.ts [COUNT]
import '../src/runtime.ts'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { createEnvelope } from '../src/crypto/envelope.ts'
import { connect } from '../src/database/connect.ts'
import { start } from '../src/database/embedded/index.ts'
import { migrate } from '../src/database/migrate.ts'
import { reseal } from '../src/keys/resealing.ts'
import { secret } from '../src/secret.ts'
import { countAllByKey } from '../src/stores/keys/sealed-values.ts'
import * as sessions from '../src/stores/protocol/sessions.ts'

const total = Number(process.argv[2] ?? 200_000)
const dataDir = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const embedded = await start({ dataDir, log: () => {} })
const { db, close } = connect({ url: embedded.url, poolSize: 2, preparedStatements: true, onError: console.error })

/** Inserts sessions, either all with a sealed state or all without one. */
async function plant(count: number, seal: ((uid: string) => string) | undefined): Promise<void> {
  for (let left = count; left > 0; left -= 10_000) {
    const uids = Array.from({ length: Math.min(left, 10_000) }, () => randomBytes(16).toString('base64url'))
    const states = uids.map((uid) => seal?.(uid) ?? null)
    await sql`insert into sessions (uid, id_hash, payload, expires_at, created_at)
      select uid, sha256(uid::bytea), jsonb_strip_nulls(jsonb_build_object('kind', 'Session', 'state', state)), now(), now()
      from unnest(${uids}::text[], ${states}::text[]) as n(uid, state)`.execute(db)
  }
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const begun = performance.now()
  await work()
  console.log(`${what.padEnd(60)} ${((performance.now() - begun) / 1000).toFixed(1)} s`)
}

try {
  await migrate(db)
  const [older, newer] = [1, 2].map(() => secret(randomBytes(32).toString('base64')))
  if (!older || !newer) throw new Error('there are two')
  const before = createEnvelope([older])
  const rotate = () =>
    reseal({ db, envelope: createEnvelope([newer, older]) }, { actor: 'bench' }, { pauseMs: 0, answerMs: 0 })
  await plant(total, undefined)
  await timed(`${total} sessions without a sealed value`, rotate)
  await plant(total, (uid) => before.seal(JSON.stringify({ secret: randomBytes(24) }), sessions.stateIdentity(uid)))
  await timed(`and ${total} more, each with a value to reseal`, rotate)
  await timed('again, with nothing left to do', rotate)
  await timed('counting all values by key', () => countAllByKey(db))
} finally {
  await close()
  await embedded.stop()
  await rm(dataDir, { recursive: true, force: true })
}

// Measures whether a form tells if an address has an account: node bench/enumeration.ts [TRIES]
import '../src/runtime.ts'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { parse } from '../src/config/index.ts'
import { start } from '../src/database/embedded/index.ts'
import { createLogger } from '../src/log/index.ts'
import { current } from '../src/oidc/request/work.ts'
import { serve } from '../src/serve.ts'
import { addressOf, createPeople, kinds, password } from './addressees.ts'
import { type Answer, createAsker } from './asked.ts'
import { surfacesWith } from './surfaces.ts'

const tries = Number(process.argv[2] ?? 500)
if (!Number.isInteger(tries) || tries < 1) {
  console.error(`TRIES must be a whole number from 1 on, and not “${process.argv[2]}”.`)
  process.exit(1)
}
const tolerance = 0.1
const port = 42_517
const statements: string[] = []

const dataDir = await mkdtemp(join(tmpdir(), 'postern-enumeration-'))
const embedded = process.env['DATABASE_URL'] ? undefined : await start({ dataDir, log: () => {} })
const config = parse({
  ISSUER: `http://localhost:${port}`,
  PORT: String(port),
  DATABASE_URL: process.env['DATABASE_URL'] ?? embedded?.url ?? '',
  ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
  SIGN_UP: 'open',
  SIGN_IN_BY_CODE: 'true',
})
const server = await serve(config, {
  log: createLogger('silent'),
  // Those of requests: letters are delivered at the same time.
  onStatement: (text) => void (current() && statements.push(text)),
})
const { db } = server.postern.database

async function delivered(): Promise<void> {
  for (;;) {
    const { rows } = await sql`select from outbox where composed_at is null and sent_at is null limit 1`.execute(db)
    if (rows.length === 0) return
    await sleep(5)
  }
}

/** Lifts every limit: they are the same for each address, and would end the measurement. */
const lift = () => sql`delete from throttles`.execute(db)

const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

try {
  await createPeople(server.postern)
  let isEven = true
  for (const { name, open } of surfacesWith({ password, delivered })) {
    const forms: (() => Promise<Answer>)[] = []
    for (const about of kinds.map(addressOf)) {
      await lift()
      forms.push(await open(createAsker({ issuer: config.ISSUER, about, statements }), about))
    }
    const answers = kinds.map((): Answer[] => [])
    for (let round = -2; round < tries; round++) {
      const order = kinds.map((_, index) => index).toSorted(() => Math.random() - 0.5)
      for (const index of order) {
        await lift()
        await delivered()
        const answer = await forms[index]?.()
        if (round >= 0 && answer) answers[index]?.push(answer) // the first rounds warm up
      }
    }
    console.log(`\n${name}`)
    const usual = median(answers.flat().map(({ ms }) => ms))
    const [shown, sent] = [answers[0]?.[0]?.shown, answers[0]?.[0]?.statements.length]
    for (const [index, kind] of kinds.entries()) {
      const of = answers[index] ?? []
      const ms = median(of.map((answer) => answer.ms))
      const ratio = ms / usual
      const isSame = of.every((answer) => answer.shown === shown)
      const hasSame = of.every((answer) => answer.statements.length === sent)
      const isWithin = Math.abs(ratio - 1) <= tolerance
      isEven &&= isSame && hasSame && isWithin
      console.log(
        `  ${kind.padEnd(12)} median ${ms.toFixed(2).padStart(7)} ms  ${ratio.toFixed(3)} of all  next page ${median(of.map(({ followMs }) => followMs)).toFixed(2)} ms  statements ${[...new Set(of.map((answer) => answer.statements.length))].join('/')}  ${isSame ? 'same answer' : 'OTHER ANSWER'}${isWithin ? '' : '  TIME DIFFERS'}`,
      )
    }
  }
  console.log(`\n${tries} tries each: ${isEven ? 'no difference' : 'THERE ARE DIFFERENCES'}`)
  process.exitCode = isEven ? 0 : 1
} finally {
  await server.stop()
  await embedded?.stop()
  await rm(dataDir, { recursive: true, force: true })
}

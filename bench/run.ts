import '../src/runtime.ts'
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../src/database/embedded/index.ts'
import { compare, compareClients } from './compare.ts'
import { operations } from './operations.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { describeMachine, toMemoryTable, toTable } from './report.ts'
import type { Measured, Remembered } from './results.ts'
import { administer, startMemory, startOther, startPostern, type Target } from './targets.ts'

const settingsQuery = `select split_part(version(), ' on ', 1) as version, current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit`

const few = 10 // clients to compare many others with
const patienceSeconds = 120 // for a slice that ends with its last request

type Results = { measured: Measured[]; remembered?: Remembered[] }

async function bench(options: Options, tell: (line: string) => void): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-bench-'))
  const given = process.env['DATABASE_URL'] || undefined
  const embedded = given ? undefined : await start({ dataDir, log: () => {} })
  const server = given ?? embedded?.url ?? ''
  const targets: Target[] = []
  let generator: ChildProcess | undefined
  try {
    generator = fork(join(import.meta.dirname, 'load.ts'))
    const common = { alg: options.alg, server, logDir: dataDir }
    const results =
      options.clients > 0
        ? await benchClients({ generator, targets, common, options, tell })
        : await benchOperations({ generator, targets, common, options, tell })
    const machine = describeMachine((await administer(server, settingsQuery))[0] ?? {})
    const { measured, remembered = [] } = results
    const tables = [...(remembered.length > 0 ? [toMemoryTable(remembered), ''] : []), toTable(measured, machine)]
    process.stdout.write(
      options.isJson ? `${JSON.stringify({ machine, options, ...results }, null, 2)}\n` : `${tables.join('\n')}\n`,
    )
  } finally {
    generator?.kill()
    for (const target of targets) await target.stop()
    await embedded?.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

type Bench = {
  generator: ChildProcess
  /** The servers that were started, to be stopped whatever happens. */
  targets: Target[]
  common: { alg: string; server: string; logDir: string }
  options: Options
  tell: (line: string) => void
}

async function benchOperations({ generator, targets, common, options, tell }: Bench): Promise<Results> {
  tell('starting the servers …')
  targets.push(await startMemory(common))
  targets.push(await startPostern({ ...common, name: 'Postern' }))
  if (options.against) {
    targets.push(await startOther(options.against, { ...common, name: `Postern of ${options.against}` }))
  }
  if (options.rows > 0) {
    tell(`writing ${options.rows} rows a table …`)
    targets.push(await startPostern({ ...common, name: `Postern, ${options.rows} rows`, rows: options.rows }))
  }
  const measured: Measured[] = []
  for (const operation of Object.keys(operations).filter((name) => name.includes(options.only ?? ''))) {
    tell(`${operation} …`)
    measured.push(...(await compare(generator, targets, operation, options)))
  }
  return { measured }
}

async function benchClients({ generator, targets, common, options, tell }: Bench): Promise<Results> {
  for (const machines of [few, options.clients]) {
    tell(`registering ${machines} clients …`)
    targets.push(await startPostern({ ...common, name: `${machines} clients`, machines }))
  }
  // Each client takes its turn in every slice, more than once.
  const requests = Math.max(options.requests, 2 * options.clients)
  tell(`client_credentials, ${requests} requests a slice …`)
  return compareClients(generator, targets, { ...options, requests, seconds: patienceSeconds })
}

const options = parseOptions(process.argv.slice(2))
if (options === 'help') process.stdout.write(`${usage}\n`)
else await bench(options, (line) => process.stderr.write(`${line}\n`))

import '../src/runtime.ts'
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../src/database/embedded.ts'
import { ask } from './ask.ts'
import type { Bounds, Job, Slice } from './load.ts'
import { operations } from './operations.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { describeMachine, type Measured, type Sample, summarize, toTable } from './report.ts'
import { administer, startMemory, startPostern, type Target } from './targets.ts'

const settingsQuery = `select split_part(version(), ' on ', 1) as version, current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit`

async function slice(generator: ChildProcess, target: Target, operation: string, options: Options): Promise<Sample> {
  const { connections, requests, seconds } = options
  const codes = await target.mint(operations[operation]?.codes({ connections, requests }) ?? 0)
  const job: Job = { operation, server: { port: target.port, cookies: target.cookies }, codes, connections }
  await ask(generator, { prepare: job })
  const before = await target.usage()
  const measured = await ask<Slice>(generator, { measure: { requests, seconds } satisfies Bounds })
  const after = await target.usage()
  return {
    ...measured,
    cpuMsPerRequest: (after.cpuMs - before.cpuMs) / measured.requests,
    statementsPerRequest: (after.statements - before.statements) / measured.requests,
  }
}

/** Measures one operation at all targets, in turn, so that whatever slows the machine slows them alike. */
async function compare(generator: ChildProcess, targets: Target[], operation: string, options: Options) {
  const rounds: Sample[][] = targets.map(() => [])
  for (let round = 0; round <= options.rounds; round++) {
    for (const [index, target] of targets.entries()) {
      const sample = await slice(generator, target, operation, options)
      if (round > 0) rounds[index]?.push(sample)
    }
  }
  const names = targets.map(({ name }) => name)
  return summarize(operation, names, rounds)
}

async function bench(options: Options, tell: (line: string) => void): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-bench-'))
  const given = process.env['DATABASE_URL'] || undefined
  const embedded = given ? undefined : await start({ dataDir, log: () => {} })
  const server = given ?? embedded?.url ?? ''
  const targets: Target[] = []
  let generator: ChildProcess | undefined
  try {
    const common = { alg: options.alg, logDir: dataDir }
    tell('starting the servers …')
    targets.push(await startMemory(common))
    targets.push(await startPostern({ ...common, name: 'Postern', server, rows: 0 }))
    if (options.against) {
      targets.push(
        await startPostern({
          ...common,
          name: `Postern of ${options.against}`,
          root: options.against,
          server,
          rows: 0,
        }),
      )
    }
    if (options.rows > 0) {
      tell(`writing ${options.rows} rows a table …`)
      targets.push(await startPostern({ ...common, name: `Postern, ${options.rows} rows`, server, rows: options.rows }))
    }
    generator = fork(join(import.meta.dirname, 'load.ts'))
    const measured: Measured[] = []
    for (const operation of Object.keys(operations).filter((name) => name.includes(options.only ?? ''))) {
      tell(`${operation} …`)
      measured.push(...(await compare(generator, targets, operation, options)))
    }
    const machine = describeMachine((await administer(server, settingsQuery))[0] ?? {})
    process.stdout.write(
      options.isJson
        ? `${JSON.stringify({ machine, options, measured }, null, 2)}\n`
        : `${toTable(measured, machine)}\n`,
    )
  } finally {
    generator?.kill()
    for (const target of targets) await target.stop()
    await embedded?.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

const options = parseOptions(process.argv.slice(2))
if (options === 'help') process.stdout.write(`${usage}\n`)
else await bench(options, (line) => process.stderr.write(`${line}\n`))

import './runtime.ts'
import cluster from 'node:cluster'
import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import { assemble } from './assemble/index.ts'
import { type Config, InvalidConfiguration, misspelt, parse } from './config/index.ts'
import { databaseFailure } from './database/failures.ts'
import { load as loadEncryptionKeys } from './keys/encryption-keys.ts'
import { createLogger, endAtFaults, logDestination } from './log/index.ts'
import { type Step, stepsOn, unseen } from './log/progress.ts'
import { styleFor } from './log/style.ts'
import { serve } from './serve.ts'
import * as accounts from './stores/people/accounts.ts'

const repeatedSignalMs = 1_000 // npm repeats the Ctrl-C that the terminal already sent

/** Starts the server that the environment configures, in `WORKERS` processes, and runs it until a signal ends it. */
export async function main(env: Record<string, string | undefined>): Promise<void> {
  let config: Config
  try {
    config = parse(env)
  } catch (error) {
    if (!(error instanceof InvalidConfiguration)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 2
    return
  }
  const destination = logDestination(config, process.stdout, env)
  const log = createLogger(config.LOG_LEVEL, destination)
  const isWatched = destination !== undefined && process.stdout.isTTY && cluster.isPrimary
  const step = isWatched ? stepsOn(process.stdout, styleFor(process.stdout, env)) : unseen
  endAtFaults(log)
  if (cluster.isPrimary) {
    for (const { name, meant } of misspelt(env)) log.warn({ name, meant }, 'unknown setting: a similar one exists')
  }
  try {
    if (cluster.isPrimary && config.WORKERS > 1) await supervise(config, log, step)
    else await run(config, log, step)
  } catch (error) {
    process.stderr.write(`Postern could not start. ${explain(error, config)}\n`)
    log.debug({ err: error }, 'could not start')
    process.exit(1)
  }
}

async function run(config: Config, log: Logger, step: Step): Promise<void> {
  const waiting = new AbortController()
  const starting = serve(config, { log, step, signal: waiting.signal })
  onStopSignal(async () => {
    waiting.abort()
    await starting.then(
      (running) => running.stop(),
      () => {},
    )
    log.info('stopped')
  })
  const server = await starting
  if (cluster.isPrimary) await welcome(config, server.postern.database.db, server.port)
}

/** Runs one process that holds the database, and `WORKERS` that serve. A worker that dies is replaced. */
async function supervise(config: Config, log: Logger, step: Step): Promise<void> {
  const encryptionKeys = await loadEncryptionKeys(config)
  const postern = await assemble(config, { log, step })
  let isStopping = false
  let isServing = false
  const fork = () =>
    cluster.fork({
      DATABASE_URL: postern.database.url.reveal(),
      ENCRYPTION_KEYS: encryptionKeys.map((key) => key.reveal()).join(),
      ENCRYPTION_KEYS_FILE: '', // the file may change: every worker must have the same keys
    })
  cluster.on('exit', (worker, code, signal) => {
    if (isStopping) return
    if (!isServing) {
      isStopping = true
      void postern.close().finally(() => process.exit(1)) // the worker has printed the reason
      return
    }
    log.error({ worker: worker.process.pid, code, signal }, 'a worker died and is replaced')
    setTimeout(fork, 1_000)
  })
  for (let index = 0; index < config.WORKERS; index++) fork()
  onStopSignal(async () => {
    isStopping = true
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
    await Promise.all(
      workers.map((worker) => {
        const gone = new Promise((resolve) => worker.once('exit', resolve))
        worker.process.kill('SIGTERM')
        return gone
      }),
    )
    await postern.close()
    log.info('stopped')
  })
  await new Promise<void>((resolve) => cluster.once('listening', () => resolve()))
  isServing = true
  await welcome(config, postern.database.db, config.PORT)
}

function onStopSignal(stop: () => Promise<void>): void {
  let signalledAt: number | undefined
  const handle = () => {
    if (signalledAt !== undefined) {
      if (Date.now() - signalledAt > repeatedSignalMs) process.exit(1) // a second signal ends it at once
      return
    }
    signalledAt = Date.now()
    stop().then(
      () => process.exit(0),
      (error) => {
        process.stderr.write(`Postern did not stop cleanly. ${error instanceof Error ? error.message : error}\n`)
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  process.on('SIGHUP', handle) // the terminal was closed
}

/** Returns the command that a person in this folder types: a checkout has its own program. */
function program(): string {
  if (!import.meta.filename.endsWith('.ts')) return 'postern'
  const checkout = dirname(import.meta.dirname)
  return process.cwd() === checkout ? './postern' : join(checkout, 'postern')
}

async function welcome(config: Config, db: Parameters<typeof accounts.list>[0], port: number): Promise<void> {
  const isNew = (await accounts.list(db, { limit: 1 })).length === 0
  const lines = [`Postern is ready at ${config.ISSUER} (port ${port}).`]
  if (isNew) {
    lines.push(
      '',
      'There is no account yet. In another terminal:',
      `  ${program()} account create --email you@example.com    creates one to sign in with`,
      `  ${program()} registration-token create                 lets an app register itself`,
      '',
      `Apps find the metadata of this server at ${config.ISSUER}/.well-known/openid-configuration`,
      '',
    )
  }
  process.stdout.write(`${lines.join('\n')}\n`)
}

function explain(error: unknown, config: Config): string {
  const { code, message, syscall } = error as { code?: string; message?: string; syscall?: string }
  if (code === 'EADDRINUSE') {
    return `Port ${config.PORT} is in use. Set PORT to another port, or stop the program that uses it.`
  }
  if (syscall === 'listen') {
    return code === 'EACCES'
      ? `This user may not listen on port ${config.PORT}. Set PORT to a port above 1023.`
      : `Postern cannot listen at ${config.HOST} (${code}). Set HOST to an address of this machine, such as 127.0.0.1 or 0.0.0.0.`
  }
  const failure = databaseFailure(error)
  if (failure !== undefined) return failure
  const { cause } = error as { cause?: { message?: string } }
  return [message, cause?.message].filter(Boolean).join(' ')
}

if (import.meta.main) await main(process.env)

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { pino } from 'pino'
import { assemble, type Postern } from '../src/assemble/index.ts'
import { parse } from '../src/config/index.ts'
import { decide } from '../src/oidc/consent/decision.ts'
import { lifetimes } from '../src/oidc/lifetimes.ts'
import { registerClient } from '../src/oidc/registration/by-administrator.ts'
import * as clients from '../src/stores/clients/clients.ts'
import * as accounts from '../src/stores/people/accounts.ts'
import * as grants from '../src/stores/protocol/grants.ts'
import { ask } from './ask.ts'
import type { Memory, Usage } from './meter.ts'
import { client, type Login, machines, mintCodes, people, redirectUri, scope, signIn } from './people.ts'
import { fill } from './rows.ts'

/** A server to measure. */
export type Target = {
  name: string
  port: number
  cookies: string[]
  /** The number of clients that take turns at it, besides the client of people. */
  machines: number
  mint(count: number): Promise<string[]>
  usage(): Promise<Usage>
  memory(): Promise<Memory>
  stop(): Promise<void>
}

const checkout = resolve(import.meta.dirname, '..')
const readyWithinMs = 60_000

/** Starts the engine with its storage in memory. */
export async function startMemory({ alg, logDir }: { alg: string; logDir: string }): Promise<Target> {
  const port = await freePort()
  const env = { ISSUER: `http://localhost:${port}`, PORT: String(port), ALG: alg }
  const child = await start({ file: join(checkout, 'bench/memory-server.ts'), env, log: join(logDir, 'memory.log') })
  await ready(child, port)
  const { cookies } = await ask<{ cookies: string[] }>(child, { populate: true })
  return {
    name: 'engine in memory',
    port,
    cookies,
    machines: 0,
    mint: async (count) => (await ask<{ codes: string[] }>(child, { mint: count })).codes,
    usage: () => ask<Usage>(child, { usage: true }),
    memory: () => ask<Memory>(child, { memory: true }),
    stop: () => stop(child),
  }
}

/** Starts Postern as `npm start` does, with a database of its own. */
export async function startPostern({
  name,
  server,
  alg,
  rows = 0,
  machines: machineCount = 0,
  logDir,
  settings = {},
}: {
  name: string
  server: string
  alg: string
  rows?: number
  machines?: number
  logDir: string
  settings?: Record<string, string>
}): Promise<Target> {
  const database = `postern_bench_${randomBytes(6).toString('hex')}`
  await administer(server, `create database ${database}`)
  const port = await freePort()
  const env = {
    ISSUER: `http://localhost:${port}`,
    PORT: String(port),
    DATABASE_URL: Object.assign(new URL(server), { pathname: `/${database}` }).href,
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    ...settings,
  }
  const postern = await assemble(parse(env), { log: pino({ level: 'silent' }) })
  const dispose = async () => {
    await postern.close()
    await administer(server, `drop database ${database} with (force)`)
  }
  try {
    const logins = await populate(postern, alg)
    await register(postern, machineCount)
    if (rows > 0) await fill(env.DATABASE_URL, rows)
    const child = await start({ file: join(checkout, 'src/main.ts'), env, log: join(logDir, `${database}.log`) })
    await ready(child, port)
    return {
      name,
      port,
      cookies: logins.map(({ cookie }) => cookie),
      machines: machineCount,
      mint: (count) => mintCodes(postern.provider, logins, count),
      usage: () => ask<Usage>(child, { usage: true }),
      memory: () => ask<Memory>(child, { memory: true }),
      async stop() {
        await stop(child)
        await dispose()
      },
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** Starts the Postern of another checkout, which sets its own database up. */
export async function startOther(other: string, options: Parameters<typeof startPostern>[0]): Promise<Target> {
  const theirs = pathToFileURL(join(resolve(other), 'bench/targets.ts')).href
  const targets = (await import(theirs)) as { startPostern: typeof startPostern }
  return targets.startPostern(options)
}

async function populate({ config, database: { db }, keyring, provider, storage }: Postern, alg: string) {
  await db
    .transaction()
    .execute((tx) => registerClient({ tx, provider, storage }, { ...client, id_token_signed_response_alg: alg }))
  const approved = { scopes: scope.split(' '), claims: [], resources: {} }
  const logins: Login[] = []
  for (let index = 0; index < people; index++) {
    const email = `person-${index}@example.com`
    const account = await db
      .transaction()
      .execute((tx) => accounts.create(tx, { email, emailVerified: true, profile: {}, passwordHash: 'none' }))
    if (account === 'email-taken') throw new Error(`${email} is taken`)
    const pair = { accountId: account.id, clientId: client.client_id }
    const exp = Math.floor(Date.now() / 1000) + lifetimes(config).grant
    const consent = { kind: 'Grant', exp, ...pair, ...decide(undefined, { asked: approved, approved }) }
    const shown = { name: client.client_name, host: new URL(redirectUri).host }
    const grantId = await db
      .transaction()
      .execute((tx) => grants.change(tx, pair, () => ({ payload: consent, shown, expiresAtSeconds: exp })))
    const cookie = { cookieName: 'postern_session', cookieKey: keyring.cookieKeys.reveal()[0] ?? '' }
    const login = { accountId: account.id, grantId }
    logins.push(await signIn(provider, login, { ...cookie, ttl: config.SESSION_TTL_SECONDS }))
  }
  return logins
}

/** Registers clients that differ only in their credentials. */
async function register({ database: { db }, provider, storage }: Postern, count: number): Promise<void> {
  if (count === 0) return
  const grants = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }
  await db.transaction().execute(async (tx) => {
    const sample = await registerClient({ tx, provider, storage }, { client_name: 'Machine', ...grants })
    for (const credentials of machines(count)) {
      await clients.save(
        tx,
        storage.envelope,
        { ...sample, ...credentials },
        { isDynamic: false, policy: 'administrator' },
      )
    }
  })
}

async function start({ file, env, log }: { file: string; env: Record<string, string>; log: string }) {
  const output = await open(log, 'w')
  const child = spawn(process.execPath, ['--expose-gc', '--import', join(checkout, 'bench/meter.ts'), file], {
    env: { PATH: process.env['PATH'], NODE_OPTIONS: process.env['BENCH_NODE_OPTIONS'] ?? '', ...env },
    stdio: ['ignore', output.fd, 'inherit', 'ipc'],
  })
  child.once('exit', () => void output.close())
  return child
}

async function ready(child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + readyWithinMs
  while (child.exitCode === null && Date.now() < deadline) {
    const response = await fetch(`http://localhost:${port}/.well-known/openid-configuration`).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.ok) return
    await sleep(50)
  }
  child.kill()
  throw new Error(`a server did not become ready at port ${port}`)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await gone
}

/** Runs one statement on the default database of a PostgreSQL. */
export async function administer(url: string, statement: string): Promise<Record<string, string>[]> {
  const database = new pg.Client({ connectionString: url })
  await database.connect()
  try {
    return (await database.query(statement)).rows
  } finally {
    await database.end()
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

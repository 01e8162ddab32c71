import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { clientOf } from '../client.ts'
import * as cluster from './cluster.ts'
import { createDataDir } from './data-dir.ts'
import { alone } from './lock.ts'
import * as postmaster from './postmaster.ts'
import { findPrograms } from './programs.ts'
import { createLauncher, type Launcher } from './unprivileged.ts'

/**
 * A real PostgreSQL, which runs where DATABASE_URL is not set.
 *
 * Several processes may share a data directory, such as a server and a command line. The first starts PostgreSQL, the
 * others attach to it, and the last to stop shuts it down. Each holds a shared advisory lock in a session of its own,
 * which shows who is left: the kernel closes that session however the process ends.
 */
export type Embedded = {
  /** The address for `pg`, which names a superuser. */
  url: string
  /** Detaches from PostgreSQL, and shuts it down unless another process is using it. */
  stop(): Promise<void>
}

type Log = (message: string, details?: object) => void
type Session = { client: pg.Client; url: string }

const useLock = [0x706f7374, 0x65726e] // shared by processes that use PostgreSQL, exclusive for the one that shuts it down
const pollMs = 20
const noticeableMs = 3_000
const patienceMs = 30_000 // until the processes of a crashed or stopping server are gone

/** Starts PostgreSQL on a data directory, or attaches to the one that runs there. Creates what is missing. */
export async function start({ dataDir, log }: { dataDir: string; log: Log }): Promise<Embedded> {
  const programs = await findPrograms()
  const given = resolve(dataDir)
  await cluster.assertSameMajor(cluster.pathsIn(given).cluster, programs.version)
  await createDataDir(given)
  const paths = cluster.pathsIn(await realpath(given))

  return alone(paths.lock, log, async () => {
    const password = await cluster.getPassword(paths)
    const prepare = () => createLauncher({ dataDir: paths.dataDir, cluster: paths.cluster, ...programs, log })
    if (!(await cluster.isThere(paths.cluster))) await cluster.initialize(paths, await prepare(), password)
    const session = await bringUp(paths, password, log, prepare)
    return { url: session.url, stop: keep(session, paths, log) }
  })
}

/** Attaches to the PostgreSQL that runs on the cluster, or starts one and attaches to it. */
async function bringUp(
  paths: cluster.Paths,
  password: string,
  log: Log,
  prepare: () => Promise<Launcher>,
): Promise<Session> {
  const begun = Date.now()
  let launcher: Launcher | undefined
  let started: number | undefined
  let told = false
  try {
    for (;;) {
      const server = await postmaster.find(paths.cluster)
      let obstacle: unknown
      try {
        if (!server) {
          launcher ??= await prepare()
          started = await postmaster.launch(paths, launcher)
          continue
        }
        if (server.status === 'ready') return await attach(server.port, password, paths)
      } catch (error) {
        if (!postmaster.isPassing(error)) throw error
        obstacle = error
      }
      const waitedMs = Date.now() - begun
      if (waitedMs > (obstacle ? patienceMs : postmaster.recoveryMs)) {
        throw obstacle ?? new Error(`PostgreSQL (process ${server?.pid}) is still ${server?.status}. See ${paths.log}.`)
      }
      if (waitedMs > noticeableMs && !told) {
        log('Waiting for PostgreSQL', { status: server?.status, obstacle })
        told = true
      }
      await sleep(pollMs)
    }
  } catch (error) {
    // Nothing else can be using it: any other process that wants to attach waits for the lock of this one.
    if (started) await postmaster.shutDown(started, paths).catch(() => undefined)
    throw error
  }
}

/** Opens the session that marks PostgreSQL as in use by this process, and creates the database if it is missing. */
async function attach(port: number, password: string, paths: cluster.Paths): Promise<Session> {
  const url = (database: string) => `postgres://${cluster.name}:${password}@127.0.0.1:${port}/${database}`
  try {
    const client = await connect(url(cluster.name)).catch(async (error) => {
      if (error.code !== '3D000') throw error // the database does not exist
      const maintenance = await connect(url('postgres'))
      await maintenance.query(`create database ${cluster.name}`).finally(() => maintenance.end())
      return connect(url(cluster.name))
    })
    try {
      const { rows } = await client.query<{ data_directory: string }>('show data_directory')
      const served = rows[0]?.data_directory
      if (served === undefined) throw new Error(`The PostgreSQL on port ${port} did not name its data directory.`)
      if ((await realpath(served).catch(() => served)) !== paths.cluster) {
        throw new Error(`The PostgreSQL on port ${port} serves ${served} instead of ${paths.cluster}. Stop it.`)
      }
      // Refused while another process holds it exclusively: that one is about to shut PostgreSQL down.
      if (await ask(client, 'pg_try_advisory_lock_shared')) return { client, url: url(cluster.name) }
      throw postmaster.passing(new Error('PostgreSQL is shutting down.'))
    } catch (error) {
      await client.end().catch(() => undefined)
      throw error
    }
  } catch (error) {
    if (isTemporary(error)) throw postmaster.passing(error)
    if ((error as { code?: string }).code !== '28P01') throw error
    throw new Error(`PostgreSQL refuses the password in ${paths.password}. Restore it from a backup.`, { cause: error })
  }
}

async function connect(url: string): Promise<pg.Client> {
  const Client = clientOf(url)
  const client = new Client({
    application_name: 'postern-embedded',
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  })
  client.on('error', () => undefined) // 'end' follows, which has a listener
  await client.connect()
  return client
}

async function ask(client: pg.Client, lockFunction: string): Promise<boolean> {
  const { rows } = await client.query<{ answer: boolean }>(`select ${lockFunction}($1, $2) as answer`, useLock)
  return rows[0]?.answer === true
}

/** Reopens the session when it ends: PostgreSQL ends all sessions when one of its processes crashes. Returns `stop`. */
function keep({ client, url }: Session, paths: cluster.Paths, log: Log): () => Promise<void> {
  const { port, password } = new URL(url)
  let current: pg.Client | undefined
  let stopping: Promise<void> | undefined

  const watch = (opened: pg.Client) => {
    current = opened
    opened.once('end', () => {
      current = undefined
      if (!stopping) void reopen()
    })
  }
  const reopen = async () => {
    log('Lost the connection to PostgreSQL, trying to restore it')
    while (!current && !stopping) {
      await sleep(1_000, undefined, { ref: false })
      const session = await attach(Number(port), password, paths).catch(() => undefined)
      if (session && stopping) await session.client.end()
      else if (session) watch(session.client)
    }
  }
  const stop = async () => {
    // Without a session, PostgreSQL does not run, or its state is unknown; the next start finds out.
    const last = current ?? (await attach(Number(port), password, paths).catch(() => undefined))?.client
    if (!last) return
    try {
      // Release the shared lock before asking for the exclusive one: two processes that asked while both share it would
      // both be refused.
      await ask(last, 'pg_advisory_unlock_shared')
      const server = await postmaster.read(paths.cluster)
      if (server && (await ask(last, 'pg_try_advisory_lock'))) await postmaster.shutDown(server.pid, paths)
    } catch (error) {
      if (!isTemporary(error)) throw error // otherwise another process shut it down first
    } finally {
      await last.end().catch(() => undefined)
    }
  }

  watch(client)
  return () => {
    stopping ??= stop()
    return stopping
  }
}

/**
 * Returns whether PostgreSQL is starting, stopping, out of connections, gone or silent, and did not reject this
 * process.
 */
function isTemporary(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    /^(57P0.|53...|E[A-Z]+)$/.test(code) || /^Connection terminated|^timeout expired|not queryable$/.test(error.message)
  )
}

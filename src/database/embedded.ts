import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdtemp, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { createDataDir, createLauncher, findPrograms, type Launcher, openPrivate } from './unprivileged.ts'

/**
 * A real PostgreSQL for whoever has not set DATABASE_URL.
 *
 * Several processes may share a data directory, such as a server and a command line. The first starts PostgreSQL,
 * the others attach to it, and the last to stop shuts it down. Who is left is known because each holds a shared
 * advisory lock in a session of its own, and the kernel closes that session however the process ends.
 */
export type Embedded = {
  /** For `pg`. It names a superuser. */
  url: string
  /** Lets go of PostgreSQL, and shuts it down unless another process is using it. */
  stop(): Promise<void>
}

type Log = (message: string, details?: object) => void
type Paths = ReturnType<typeof pathsIn>
type Postmaster = { pid: number; port: number; status: string }
type Session = { client: pg.Client; url: string }

const run = promisify(execFile)

const name = 'postern' // of the superuser and of the database
const useLock = [0x706f7374, 0x65726e] // shared by those who use PostgreSQL, exclusive for the one that shuts it down
const pollMs = 20
const noticeableMs = 3_000
const patienceMs = 30_000 // for processes of a crashed server to end, a stopping one to go
const recoveryMs = 300_000 // for replaying the write-ahead log, or the last checkpoint
const longLogBytes = 10_000_000

// What is promised about durability and exposure, given at every start so that no edited file can take it back.
// The rest is up to postgresql.conf, which initdb fits to the machine (100 connections, 128 MB of buffers).
const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  password_encryption: 'scram-sha-256',
  logging_collector: 'off',
}

export async function start({ dataDir, log }: { dataDir: string; log: Log }): Promise<Embedded> {
  const programs = await findPrograms()
  const given = resolve(dataDir)
  await assertSameMajor(pathsIn(given).cluster, programs.version)
  await createDataDir(given)
  const paths = pathsIn(await realpath(given))

  return alone(paths.lock, log, async () => {
    const password = await getPassword(paths)
    const prepare = () => createLauncher({ dataDir: paths.dataDir, cluster: paths.cluster, ...programs, log })
    if (!(await hasCluster(paths.cluster))) await initialize(paths, await prepare(), password)
    const session = await bringUp(paths, password, log, prepare)
    return { url: session.url, stop: keep(session, paths, log) }
  })
}

function pathsIn(dataDir: string) {
  const path = (suffix: string) => join(dataDir, `postgresql${suffix}`)
  return { dataDir, cluster: path(''), password: path('.password'), log: path('.log'), lock: path('.lock') }
}

/**
 * Runs `work` while no other process does.
 *
 * Node.js cannot lock a file, but its SQLite can. A lock of the kernel's ends with the process that holds it, so
 * unlike a file with a process id in it there is never a stale one to be recognised and removed.
 */
async function alone<T>(path: string, log: Log, work: () => Promise<T>): Promise<T> {
  await (await openPrivate(path)).close()
  const lock = new DatabaseSync(path, { timeout: 0 })
  try {
    const begun = Date.now()
    for (let told = false; !tryLock(lock); await sleep(pollMs)) {
      if (Date.now() - begun > noticeableMs && !told) {
        log('Waiting for another process to finish starting PostgreSQL')
        told = true
      }
    }
    return await work()
  } finally {
    lock.close()
  }
}

function tryLock(lock: DatabaseSync): boolean {
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive') // no journal: it would outlive a process that is killed
    return true
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return false // SQLITE_BUSY
    throw error
  }
}

async function assertSameMajor(cluster: string, version: string): Promise<void> {
  const ours = Number.parseInt(version, 10)
  const theirs = Number.parseInt((await readIfThere(join(cluster, 'PG_VERSION'))) ?? version, 10)
  if (theirs === ours) return
  throw new Error(
    `The data in ${cluster} is of PostgreSQL ${theirs}, and this is PostgreSQL ${ours}. ` +
      'Dump it with the release of Postern that wrote it, move the directory away, and restore the dump into a new one.',
  )
}

/** Generated once. The cluster keeps only what verifies it, so it cannot be recovered from there. */
async function getPassword({ password: path, cluster }: Paths): Promise<string> {
  const known = await readIfThere(path)
  if (known) return known
  if (await hasCluster(cluster)) {
    throw new Error(`${path}, with the password of the database in ${cluster}, is missing. Restore it from a backup.`)
  }
  const password = randomBytes(32).toString('base64url')
  const file = await openPrivate(path)
  try {
    await file.writeFile(password)
    await file.sync()
  } finally {
    await file.close()
  }
  return password
}

/** Creates the cluster beside its place and moves it there when it is complete: half of one is never started. */
async function initialize({ dataDir, cluster }: Paths, launcher: Launcher, password: string): Promise<void> {
  const prefix = 'postgresql.new-'
  for (const entry of await readdir(dataDir)) {
    if (entry.startsWith(prefix)) await rm(join(dataDir, entry), { recursive: true, force: true, maxRetries: 5 })
  }
  const workshop = await mkdtemp(join(dataDir, prefix))
  try {
    const passwordFile = join(workshop, 'password')
    await writeFile(passwordFile, password, { mode: 0o600 })
    if (launcher.account) {
      for (const path of [passwordFile, workshop]) await chown(path, launcher.account.uid, launcher.account.gid)
    }
    const { file, args, options } = launcher.command('initdb', [
      `--pgdata=${join(workshop, 'cluster')}`,
      `--username=${name}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--data-checksums',
    ])
    await run(file, args, options)
    await rename(join(workshop, 'cluster'), cluster)
    const directory = await open(dataDir)
    await directory.sync().finally(() => directory.close())
  } catch (cause) {
    const output = cause instanceof Error && 'stderr' in cause ? `\n${cause.stderr}`.trimEnd() : ''
    throw new Error(`Could not create a database in ${cluster}, which has to be missing or empty.${output}`, { cause })
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
}

/** Attaches to the PostgreSQL that is running on the cluster, or starts one and attaches to that. */
async function bringUp(paths: Paths, password: string, log: Log, prepare: () => Promise<Launcher>): Promise<Session> {
  const begun = Date.now()
  let launcher: Launcher | undefined
  let started: number | undefined
  let told = false
  try {
    for (;;) {
      const postmaster = await findPostmaster(paths.cluster)
      let obstacle: unknown
      try {
        if (!postmaster) {
          launcher ??= await prepare()
          started = await launch(paths, launcher)
          continue
        }
        if (postmaster.status === 'ready') return await attach(postmaster.port, password, paths)
      } catch (error) {
        if (!isPassing(error)) throw error
        obstacle = error
      }
      const waitedMs = Date.now() - begun
      if (waitedMs > (obstacle ? patienceMs : recoveryMs)) {
        throw (
          obstacle ??
          new Error(`PostgreSQL (process ${postmaster?.pid}) is still ${postmaster?.status}. See ${paths.log}.`)
        )
      }
      if (waitedMs > noticeableMs && !told) {
        log('Waiting for PostgreSQL', { status: postmaster?.status, obstacle })
        told = true
      }
      await sleep(pollMs)
    }
  } catch (error) {
    // Nobody else can be using it: whoever wants to attach is waiting for our lock.
    if (started) await shutDown(started, paths).catch(() => undefined)
    throw error
  }
}

/** The server process of this cluster, if there is one. Clears away what a crashed one left. */
async function findPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const postmaster = await readPostmaster(cluster)
  if (!postmaster || (await isServing(postmaster.pid, cluster))) return postmaster

  // PostgreSQL would not start if that process id is somebody else's by now. Processes that a crashed server left
  // behind it still notices, by the shared memory keyed to the directory.
  await rm(join(cluster, 'postmaster.pid'), { force: true })
  return undefined
}

async function readPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const text = await readIfThere(join(cluster, 'postmaster.pid'))
  if (text === undefined) return undefined
  const [pid, , , port, , , , status] = text.split('\n')
  return { pid: Number(pid), port: Number(port), status: status?.trim() || 'starting' }
}

/** Whether a process lives and may be the cluster's server. A wrong yes costs a wait; a wrong no, the data. */
async function isServing(pid: number, cluster: string): Promise<boolean> {
  // A server creates the file first and writes to it next. It stays empty only if the machine went down in between.
  if (pid === 0) return Date.now() - (await stat(join(cluster, 'postmaster.pid'))).mtimeMs < 10_000
  try {
    process.kill(pid, 0)
  } catch {
    return false // gone, or of a user whom the cluster does not belong to
  }
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-o', 'stat=,comm=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
    return stdout.includes('postgres') && !stdout.startsWith('Z')
  }
  const [, command = 'postgres', state] = /\((.*)\) (.)/s.exec((await readIfThere(`/proc/${pid}/stat`)) ?? '') ?? []
  if (command !== 'postgres' || state === 'Z' || state === 'X') return false
  const place = await stat(`/proc/${pid}/cwd`).catch(() => undefined) // a server's is its data directory
  const data = await stat(cluster)
  return place === undefined || (place.dev === data.dev && place.ino === data.ino)
}

/** Starts a server and returns its process id once it accepts connections. */
async function launch(paths: Paths, launcher: Launcher): Promise<number> {
  const logBytes = (await stat(paths.log).catch(() => undefined))?.size ?? 0
  if (logBytes > longLogBytes) await rename(paths.log, `${paths.log}.1`)
  const output = await openPrivate(paths.log)
  try {
    const { size: begin } = await output.stat()
    const { file, args, options } = launcher.command('postgres', [
      ...['-D', paths.cluster, '-p', String(await findFreePort())],
      ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ])
    // In a session of its own: Ctrl-C in our terminal must not stop it while requests are still being answered.
    const server = spawn(file, args, { ...options, detached: true, stdio: ['ignore', output.fd, output.fd] })
    server.unref()
    const failed = once(server, 'exit').then(
      ([code, signal]) => new Error(`postgres ended with ${signal ?? `status ${code}`}`),
      (error: Error) => error, // it could not be executed
    )
    for (;;) {
      const cause = await Promise.race([failed, sleep(pollMs)])
      if (cause) {
        const { size: end } = await output.stat()
        const from = Math.max(begin, end - 4_000)
        const { buffer } = await output.read({ buffer: Buffer.alloc(end - from), position: from })
        const error = new Error(`PostgreSQL did not start. The end of ${paths.log}:\n${buffer.toString().trim()}`, {
          cause,
        })
        throw /Address already in use|is still in use|postmaster\.pid" already exists/.test(error.message)
          ? passing(error)
          : error
      }
      const postmaster = await readPostmaster(paths.cluster)
      if (postmaster?.pid === server.pid && postmaster?.status === 'ready') return postmaster.pid
    }
  } finally {
    await output.close()
  }
}

/** Somebody may take the port before PostgreSQL does; it is then started again, with another. */
async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Opens the session that marks PostgreSQL as in use by us, in our database, which it creates if it has to. */
async function attach(port: number, password: string, paths: Paths): Promise<Session> {
  const url = (database: string) => `postgres://${name}:${password}@127.0.0.1:${port}/${database}`
  try {
    const client = await connect(url(name)).catch(async (error) => {
      if (error.code !== '3D000') throw error // there is no such database
      const maintenance = await connect(url('postgres'))
      await maintenance.query(`create database ${name}`).finally(() => maintenance.end())
      return connect(url(name))
    })
    try {
      const { rows } = await client.query<{ data_directory: string }>('show data_directory')
      const served = rows[0]?.data_directory ?? ''
      if ((await realpath(served).catch(() => served)) !== paths.cluster) {
        throw new Error(`The PostgreSQL on port ${port} serves ${served} instead of ${paths.cluster}. Stop it.`)
      }
      // Refused while another process holds it alone: that one is about to shut PostgreSQL down.
      if (await ask(client, 'pg_try_advisory_lock_shared')) return { client, url: url(name) }
      throw passing(new Error('PostgreSQL is shutting down.'))
    } catch (error) {
      await client.end().catch(() => undefined)
      throw error
    }
  } catch (error) {
    if (isTemporary(error)) throw passing(error)
    if ((error as { code?: string }).code !== '28P01') throw error
    throw new Error(`PostgreSQL refuses the password in ${paths.password}. Restore it from a backup.`, { cause: error })
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'postern-embedded',
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  })
  client.on('error', () => undefined) // 'end' follows, and that is listened to
  await client.connect()
  return client
}

async function ask(client: pg.Client, lockFunction: string): Promise<boolean> {
  const { rows } = await client.query<{ answer: boolean }>(`select ${lockFunction}($1, $2) as answer`, useLock)
  return rows[0]?.answer === true
}

/** Keeps the session open, since PostgreSQL ends all of them when one of its processes crashes. Returns `stop`. */
function keep({ client, url }: Session, paths: Paths, log: Log): () => Promise<void> {
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
    // Without a session it is not running, or not ours to judge; the next start finds out.
    const last = current ?? (await attach(Number(port), password, paths).catch(() => undefined))?.client
    if (!last) return
    try {
      // Let go before asking for the lock alone: two that asked while both share it would both be refused.
      await ask(last, 'pg_advisory_unlock_shared')
      const postmaster = await readPostmaster(paths.cluster)
      if (postmaster && (await ask(last, 'pg_try_advisory_lock'))) await shutDown(postmaster.pid, paths)
    } catch (error) {
      if (!isTemporary(error)) throw error // otherwise another process was quicker to shut it down
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

/** A fast shutdown: transactions are rolled back, sessions ended, and everything is written to disk. */
async function shutDown(pid: number, { cluster, log }: Paths): Promise<void> {
  process.kill(pid, 'SIGINT')
  for (const begun = Date.now(); await isServing(pid, cluster); await sleep(pollMs)) {
    if (Date.now() - begun > recoveryMs) throw new Error(`PostgreSQL (process ${pid}) does not stop. See ${log}.`)
  }
}

/** Starting, shutting down, short of connections, gone, or silent: not a verdict on us. */
function isTemporary(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    /^(57P0.|53...|E[A-Z]+)$/.test(code) || /^Connection terminated|^timeout expired|not queryable$/.test(error.message)
  )
}

/** Marks a failure that goes away when one waits. */
function passing<T extends Error>(error: T): T {
  return Object.assign(error, { passing: true })
}

function isPassing(error: unknown): boolean {
  return error instanceof Error && 'passing' in error
}

async function hasCluster(cluster: string): Promise<boolean> {
  return (await readIfThere(join(cluster, 'PG_VERSION'))) !== undefined
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw new Error(`Cannot read ${path}. Run this as the user who owns it.`, { cause: error })
  }
}

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rename, rm, stat } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Paths, readIfThere } from './cluster.ts'
import { openPrivate } from './data-dir.ts'
import type { Launcher } from './unprivileged.ts'

/** The server process of a cluster, as its own `postmaster.pid` describes it. */
export type Postmaster = { pid: number; port: number; status: string }

const run = promisify(execFile)

const pollMs = 20
const longLogBytes = 10_000_000
/** The longest wait for PostgreSQL to replay its write-ahead log or write its last checkpoint. */
export const recoveryMs = 300_000

// Durability and exposure are set at every start, so that an edited file cannot weaken them. Everything else is up to
// postgresql.conf, which initdb fits to the machine (100 connections, 128 MB of buffers).
const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  password_encryption: 'scram-sha-256',
  logging_collector: 'off',
}

/** Finds the server process of this cluster, and removes the file that a crashed one left. */
export async function find(cluster: string): Promise<Postmaster | undefined> {
  const postmaster = await read(cluster)
  if (!postmaster || (await isServing(postmaster.pid, cluster))) return postmaster

  // PostgreSQL would not start if another process has that id now. It still notices processes that a crashed server
  // left behind, by the shared memory keyed to the directory.
  await rm(join(cluster, 'postmaster.pid'), { force: true })
  return undefined
}

export async function read(cluster: string): Promise<Postmaster | undefined> {
  const text = await readIfThere(join(cluster, 'postmaster.pid'))
  if (text === undefined) return undefined
  const [pid, , , port, , , , status] = text.split('\n')
  return { pid: Number(pid), port: Number(port), status: status?.trim() || 'starting' }
}

/**
 * Returns whether a process lives and may be the cluster's server. A wrong yes costs a wait; a wrong no costs the data.
 */
async function isServing(pid: number, cluster: string): Promise<boolean> {
  // A server creates the file and then writes to it. The file stays empty only if the machine went down in between.
  if (pid === 0) return Date.now() - (await stat(join(cluster, 'postmaster.pid'))).mtimeMs < 10_000
  try {
    process.kill(pid, 0)
  } catch {
    return false // gone, or the process of a user who does not own the cluster
  }
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-o', 'stat=,comm=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
    return stdout.includes('postgres') && !stdout.startsWith('Z')
  }
  const [, command = 'postgres', state] = /\((.*)\) (.)/s.exec((await readIfThere(`/proc/${pid}/stat`)) ?? '') ?? []
  if (command !== 'postgres' || state === 'Z' || state === 'X') return false
  const place = await stat(`/proc/${pid}/cwd`).catch(() => undefined) // a server works in its data directory
  const data = await stat(cluster)
  return place === undefined || (place.dev === data.dev && place.ino === data.ino)
}

/** Starts a server and returns its process id once it accepts connections. */
export async function launch(paths: Paths, launcher: Launcher): Promise<number> {
  const logBytes = (await stat(paths.log).catch(() => undefined))?.size ?? 0
  if (logBytes > longLogBytes) await rename(paths.log, `${paths.log}.1`)
  const output = await openPrivate(paths.log)
  try {
    const { size: begin } = await output.stat()
    const { file, args, options } = launcher.command('postgres', [
      ...['-D', paths.cluster, '-p', String(await findFreePort())],
      ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ])
    // In a session of its own: Ctrl-C in the terminal must not stop it while requests are still being answered.
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
      const postmaster = await read(paths.cluster)
      if (postmaster?.pid === server.pid && postmaster?.status === 'ready') return postmaster.pid
    }
  } finally {
    await output.close()
  }
}

/**
 * Finds a free port. If another process takes it before PostgreSQL does, PostgreSQL is started again with another one.
 */
async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Shuts PostgreSQL down fast: it rolls transactions back, ends sessions, and writes everything to disk. */
export async function shutDown(pid: number, { cluster, log }: Paths): Promise<void> {
  process.kill(pid, 'SIGINT')
  for (const begun = Date.now(); await isServing(pid, cluster); await sleep(pollMs)) {
    if (Date.now() - begun > recoveryMs) throw new Error(`PostgreSQL (process ${pid}) does not stop. See ${log}.`)
  }
}

/** Marks a failure that passes with time. */
export function passing<T extends Error>(error: T): T {
  return Object.assign(error, { passing: true })
}

/** Returns whether `passing` marked a failure. */
export function isPassing(error: unknown): boolean {
  return error instanceof Error && 'passing' in error
}

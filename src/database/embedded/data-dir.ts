import { constants } from 'node:fs'
import { access, lchown, mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * Creates the data directory where it is missing, for its owner's eyes only. Below a user's directory it is that
 * user's, even if we are root.
 *
 * @throws Error with what to do when nothing can be written there.
 */
export async function createDataDir(path: string): Promise<void> {
  const dataDir = resolve(path)
  await createParents(dirname(dataDir))
  const created = await create(dataDir, 0o700)
  if (created && process.getuid?.() === 0) {
    const { uid, gid } = await stat(dirname(dataDir))
    if (uid !== 0) await lchown(dataDir, uid, gid)
  }
  await assertWritable(dataDir)
}

/** Refuses a DATA_DIR that cannot be one. It need not exist. */
export async function assertPossible(path: string): Promise<void> {
  const dataDir = resolve(path)
  try {
    if (!(await stat(dataDir)).isDirectory()) throw unusable(dataDir, 'ENOTDIR')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    if (code !== 'ENOENT') throw unusable(dataDir, code)
  }
}

async function assertWritable(dataDir: string): Promise<void> {
  await assertPossible(dataDir)
  try {
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unusable(dataDir, (error as NodeJS.ErrnoException).code)
  }
}

/** One directory after the other: with `recursive`, Node.js tries for ever where nothing can be created, as in /proc. */
async function createParents(path: string): Promise<void> {
  if (path === dirname(path)) return
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error.code)
  if (found === 'ENOENT') {
    await createParents(dirname(path))
    await create(path, 0o777)
  } else if (typeof found !== 'object') throw unusable(path, found)
  else if (!found.isDirectory()) throw unusable(path, 'ENOTDIR')
}

/** Creates a directory, and says whether it was not there. */
async function create(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode })
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    throw unusable(path, code)
  }
}

/** Why nothing can be kept at a path, and what to do about it. */
export function unusable(path: string, code: string | undefined): Error {
  const user = `user ${process.getuid?.() ?? ''}`.trim()
  const elsewhere = 'set DATA_DIR to another directory, or DATABASE_URL to a database of your own'
  switch (code) {
    case 'ENOTDIR':
      return new Error(`DATA_DIR: ${path} is not a directory, or has a file in its path. Please ${elsewhere}.`)
    case 'EACCES':
    case 'EPERM':
      return new Error(
        `DATA_DIR: ${user}, as whom this runs, may not write to ${path}. Give it to that user (chown), run this as its owner, or ${elsewhere}.`,
      )
    case 'EROFS':
      return new Error(
        `DATA_DIR: ${path} is on a file system that is mounted read-only. In a container, mount a volume there; otherwise ${elsewhere}.`,
      )
    case 'ENOSPC':
    case 'EDQUOT':
      return new Error(`DATA_DIR: there is no space left for ${path}. Make room, or ${elsewhere}.`)
    default:
      return new Error(`DATA_DIR: nothing can be created at ${path} (${code}). Please ${elsewhere}.`)
  }
}

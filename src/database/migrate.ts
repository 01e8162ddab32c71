import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Migration, Migrator } from 'kysely/migration'
import { codeOf, isContention } from './connect.ts'
import type { Db } from './schema.ts'
import { untilOurTurn } from './waiting.ts'

const folder = new URL('../../migrations/', import.meta.url)

async function load(): Promise<Record<string, Migration>> {
  const files = (await readdir(fileURLToPath(folder))).filter(
    (name) => /^\d{4}-.*\.(ts|js)$/.test(name) && !name.endsWith('.d.ts'),
  )
  const entries = files.map(async (name) => [name.replace(/\.(ts|js)$/, ''), await import(new URL(name, folder).href)])
  return Object.fromEntries(await Promise.all(entries))
}

function migrator(db: Db): Migrator {
  // Kysely holds an advisory lock while it works, so processes that start at the same time take turns.
  return new Migrator({ db, provider: { getMigrations: load } })
}

/** Applies missing migrations, each once, however many processes try at the same time. Returns the names it applied. */
export async function migrate(db: Db): Promise<string[]> {
  return untilOurTurn(
    async () => {
      const { error, results = [] } = await migrator(db).migrateToLatest()
      const failed = results.find(({ status }) => status === 'Error')
      if (failed) {
        throw new Error(`The migration ${failed.migrationName} failed and was rolled back.`, { cause: error })
      }
      if (error) throw error
      return results.filter(({ status }) => status === 'Success').map(({ migrationName }) => migrationName)
    },
    // Without a failed migration, the statement that took too long was waiting for the lock.
    { isWaiting: (error) => isContention(error) || codeOf(error) === statementTimeout },
  )
}

const statementTimeout = '57014'

/** Lists the names of migrations that have not been applied yet. */
export async function pending(db: Db): Promise<string[]> {
  const all = await migrator(db).getMigrations()
  return all.filter(({ executedAt }) => !executedAt).map(({ name }) => name)
}

/** Returns whether no migration was ever applied. */
export async function isEmpty(db: Db): Promise<boolean> {
  return (await migrator(db).getMigrations()).every(({ executedAt }) => !executedAt)
}

import { resolve } from 'node:path'
import { maskDatabaseUrl } from '../config/database-url.ts'
import type { Config } from '../config/index.ts'
import { type Secret, secret } from '../secret.ts'
import { type ConnectOptions, connect, type Database } from './connect.ts'
import { isThere, pathsIn } from './embedded/cluster.ts'
import { isEmpty } from './migrate.ts'

/** An open database and its address, which contains the password. */
export type OpenDatabase = Database & { url: Secret }

/** Opens the database of a configuration: the one at DATABASE_URL, or an embedded one, which it starts if necessary. */
export async function open(
  config: Config,
  { onError, onStatement }: Pick<ConnectOptions, 'onError' | 'onStatement'>,
  log: (message: string, details?: object) => void,
): Promise<OpenDatabase> {
  const { url, stop } = config.DATABASE_URL
    ? { url: config.DATABASE_URL.reveal(), stop: undefined }
    : await (await import('./embedded/index.ts')).start({ dataDir: config.DATA_DIR, log })
  const database = connect({
    url,
    poolSize: config.DATABASE_POOL_SIZE,
    preparedStatements: config.DATABASE_PREPARED_STATEMENTS,
    onError,
    ...(onStatement && { onStatement }),
  })
  return {
    ...database,
    url: secret(url),
    async close() {
      await database.close()
      await stop?.()
    },
  }
}

/** Throws if the configured database is an embedded one that does not exist yet. */
export async function assertCreated(config: Config): Promise<void> {
  const { cluster } = pathsIn(resolve(config.DATA_DIR))
  if (config.DATABASE_URL || (await isThere(cluster))) return
  throw new Error(
    `There is no database in ${cluster}, where DATA_DIR=${config.DATA_DIR} points. Run this in the folder that the server runs in, or set DATA_DIR or DATABASE_URL as the server has it. To create a new database, run postern start.`,
  )
}

/** Throws if the database has no tables yet. */
export async function assertMigrated(config: Config, { db }: Database): Promise<void> {
  if (!(await isEmpty(db))) return
  const place = config.DATABASE_URL ? maskDatabaseUrl(config.DATABASE_URL.reveal()) : `in ${resolve(config.DATA_DIR)}`
  throw new Error(
    `The database ${place} has no tables of Postern. Set DATABASE_URL or DATA_DIR as the server has it. In a new database, postern start or postern migrate creates them.`,
  )
}

import type { Logger } from 'pino'
import type { Config } from '../config/index.ts'
import { createEnvelope, type Envelope } from '../crypto/envelope.ts'
import { codeOf } from '../database/connect.ts'
import { migrate, pending } from '../database/migrate.ts'
import { assertCreated, assertMigrated, type OpenDatabase, open } from '../database/open.ts'
import { assertSuitable } from '../database/requirements.ts'
import { untilReachable } from '../database/waiting.ts'
import { assertComplete, assertFitting, load as loadEncryptionKeys } from '../keys/encryption-keys.ts'
import type { Step } from '../log/progress.ts'

export type Preparation = {
  log: Logger
  onStatement: ((sql: string) => void) | undefined
  /** Refuses to create a database. Otherwise a command that runs in the wrong folder would get an empty one. */
  mustExist: boolean
  step: Step
  /** Ends the wait for a database that is not reachable yet. */
  signal: AbortSignal | undefined
}

/** Opens the database of a configuration as soon as it is reachable. Throws if it does not meet the requirements. */
export async function openDatabase(config: Config, preparation: Preparation): Promise<OpenDatabase> {
  const { log, onStatement, mustExist, step, signal } = preparation
  const place = config.DATABASE_URL ? 'Database' : `PostgreSQL, with its data in ${config.DATA_DIR}`
  return step(place, async () => {
    const database = await open(
      config,
      {
        onError: (error) => log.warn({ err: error }, 'a database connection was lost'),
        ...(onStatement && { onStatement }),
      },
      (message, details) => log.debug(details ?? {}, message),
    )
    try {
      const seconds = config.DATABASE_URL && !mustExist ? config.DATABASE_WAIT_SECONDS : 0
      const onWait = (error: unknown) =>
        log.warn({ code: codeOf(error), cause: String(error) }, 'the database cannot be reached yet: waiting for it')
      await untilReachable(database.db, { seconds, onWait, signal })
      const hasToCreate = config.MIGRATE_ON_START && (await pending(database.db)).length > 0
      await assertSuitable(database.db, { hasToCreate })
      return database
    } catch (error) {
      await database.close()
      throw error
    }
  })
}

/** Opens the database, brings its tables up to date, and loads the keys of its encrypted values. */
export async function prepare(
  config: Config,
  preparation: Preparation,
): Promise<{ database: OpenDatabase; envelope: Envelope }> {
  const { log, mustExist, step } = preparation
  if (mustExist) await assertCreated(config) // first: the next line may create a key
  const encryptionKeys = await loadEncryptionKeys(config)
  const database = await openDatabase(config, preparation)
  try {
    const { db } = database
    if (mustExist) await assertMigrated(config, database)
    const envelope = createEnvelope(encryptionKeys)
    await step('Tables', async () => {
      if (config.MIGRATE_ON_START) {
        await assertFitting(db, envelope)
        const applied = await migrate(db)
        if (applied.length > 0) log.info({ applied }, 'the tables were brought up to date')
      } else if ((await pending(db)).length > 0) {
        throw new Error('The database schema is not up to date. Run: postern migrate')
      }
      await assertComplete(db, envelope)
    })
    return { database, envelope }
  } catch (error) {
    await database.close()
    throw error
  }
}

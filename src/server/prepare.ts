import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { createEnvelope, type Envelope } from '../crypto/envelope.ts'
import { migrate, pending } from '../database/migrate.ts'
import { assertCreated, assertMigrated, type OpenDatabase, open } from '../database/open.ts'
import { assertComplete, assertFitting, load as loadEncryptionKeys } from '../keys/encryption-keys.ts'
import type { Step } from '../log/progress.ts'

export type Preparation = {
  log: Logger
  onStatement: ((sql: string) => void) | undefined
  /** Refuses to create a database: a command that is run in another folder would have an empty one. */
  mustExist: boolean
  step: Step
}

/** A database that is up to date, and the keys to what is encrypted in it. */
export async function prepare(
  config: Config,
  { log, onStatement, mustExist, step }: Preparation,
): Promise<{ database: OpenDatabase; envelope: Envelope }> {
  if (mustExist) await assertCreated(config) // first: the next line creates a key where there is none
  const encryptionKeys = await loadEncryptionKeys(config)
  const database = await step(
    config.DATABASE_URL ? 'Database' : `PostgreSQL, with its data in ${config.DATA_DIR}`,
    () =>
      open(
        config,
        {
          onError: (error) => log.warn({ err: error }, 'a database connection was lost'),
          ...(onStatement && { onStatement }),
        },
        (message, details) => log.debug(details ?? {}, message),
      ),
  )
  try {
    const { db } = database
    if (mustExist) await assertMigrated(config, database)
    const envelope = createEnvelope(encryptionKeys)
    await step('Tables', async () => {
      if (config.MIGRATE_ON_START) {
        await assertFitting(db, envelope)
        const applied = await migrate(db)
        if (applied.length > 0) log.info({ applied }, 'migrated')
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

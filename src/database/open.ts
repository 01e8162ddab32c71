import type { Config } from '../config.ts'
import { type Secret, secret } from '../secret.ts'
import { type ConnectOptions, connect, type Database } from './connect.ts'

/** Its address has the password in it. */
export type OpenDatabase = Database & { url: Secret }

/** The database of a configuration: the one at DATABASE_URL, or an embedded one, started here if it does not run. */
export async function open(
  config: Config,
  { onError, onStatement }: Pick<ConnectOptions, 'onError' | 'onStatement'>,
  log: (message: string, details?: object) => void,
): Promise<OpenDatabase> {
  const embedded = config.DATABASE_URL
    ? undefined
    : await (await import('./embedded.ts')).start({ dataDir: config.DATA_DIR, log })
  const url = embedded?.url ?? config.DATABASE_URL?.reveal() ?? ''
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
      await embedded?.stop()
    },
  }
}

import { z } from 'zod'
import { type Secret, secret } from '../secret.ts'
import { databaseUrlProblem } from './database-url.ts'
import { secondsOrNone } from './durations.ts'

/** Where the database is, and how it is connected to. */
export const databaseSettings = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgres://')
    .transform((url) => secret(url))
    .optional()
    .describe(
      'PostgreSQL 15 or newer. It must have `sslmode=verify-full` unless its host is on the loopback interface or a Unix socket; `sslrootcert` is the file of the authority that issued its certificate. Without it an embedded PostgreSQL keeps its data in DATA_DIR.',
    ),
  INSECURE_DATABASE_CONNECTION: z
    .stringbool()
    .default(false)
    .describe(
      'Accept a DATABASE_URL without `sslmode=verify-full`, so that whoever is on the network between can read and change everything. For a private network that only the database and Postern are on.',
    ),
  DATABASE_WAIT_SECONDS: secondsOrNone
    .default(60)
    .describe('How long a server that starts waits for a database that cannot be reached yet; with 0 it ends at once.'),
  DATABASE_POOL_SIZE: z.coerce.number().int().min(2).max(200).default(10).describe('Connections per process.'),
  DATABASE_PREPARED_STATEMENTS: z
    .stringbool()
    .default(true)
    .describe('Named prepared statements. Switch off behind a transaction-pooling proxy.'),
}

/** What is wrong with these settings as a whole. */
export function* databaseMistakes(env: {
  DATABASE_URL?: Secret | undefined
  INSECURE_DATABASE_CONNECTION?: unknown
}): Generator<{ name: keyof typeof databaseSettings; message: string }> {
  const url = env.DATABASE_URL?.reveal?.() // it is no secret yet if it does not even look like an address
  if (url === undefined) return
  const message = databaseUrlProblem(url, { isInsecureAllowed: env.INSECURE_DATABASE_CONNECTION === true })
  if (message) yield { name: 'DATABASE_URL', message }
}

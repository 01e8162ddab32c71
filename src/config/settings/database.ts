import { z } from 'zod'
import { type Secret, secret } from '../../secret.ts'
import { databaseUrlProblem } from '../database-url.ts'
import { secondsOrNone } from '../durations.ts'
import type { Mistake } from './mistake.ts'

/** The place of the database, and how the server connects to it. */
export const databaseSettings = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgres://')
    .transform((url) => secret(url))
    .optional()
    .describe(
      'Address of the database, PostgreSQL 15 or newer. It must have `sslmode=verify-full` unless its host is on the loopback interface or a Unix socket; `sslrootcert` is the file of the authority that issued its certificate. Without DATABASE_URL, an embedded PostgreSQL keeps its data in DATA_DIR.',
    ),
  INSECURE_DATABASE_CONNECTION: z
    .stringbool()
    .default(false)
    .describe(
      'Accept a DATABASE_URL without `sslmode=verify-full`. Anyone on the network between Postern and the database can then read and change everything, so use it only on a private network that nothing else is on.',
    ),
  DATABASE_WAIT_SECONDS: secondsOrNone
    .default(60)
    .describe('How long a starting server waits for a database that it cannot reach yet; with 0 it stops at once.'),
  DATABASE_POOL_SIZE: z.coerce
    .number()
    .int()
    .min(2)
    .max(200)
    .default(10)
    .describe('Database connections of each process.'),
  DATABASE_PREPARED_STATEMENTS: z
    .stringbool()
    .default(true)
    .describe('Use named prepared statements. Set it to false behind a proxy that pools by transaction.'),
  MIGRATE_ON_START: z.stringbool().default(true).describe('Apply missing migrations when the server starts.'),
  DATA_DIR: z.string().default('.data').describe('Folder of the embedded PostgreSQL and of the keys generated for it.'),
}

/** Finds mistakes in the settings of the database taken together. */
export function* databaseMistakes(env: {
  DATABASE_URL?: Secret | undefined
  INSECURE_DATABASE_CONNECTION?: unknown
}): Generator<Mistake<typeof databaseSettings>> {
  const url = env.DATABASE_URL?.reveal?.() // still a string, without reveal(), when it is not an address at all
  if (url === undefined) return
  const message = databaseUrlProblem(url, { isInsecureAllowed: env.INSECURE_DATABASE_CONNECTION === true })
  if (message) yield { name: 'DATABASE_URL', message }
}

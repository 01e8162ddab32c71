import { type Kysely, sql } from 'kysely'

// Increased by everything that ends all sign-ins of an account. A sign-in is valid in the epoch of its password check.
const statements = [`alter table accounts add column epoch integer not null default 0`]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

import { type Kysely, sql } from 'kysely'

// Moved by whatever ends all sign-ins of an account. A sign-in is good for the epoch in which the password was verified.
const statements = [`alter table accounts add column epoch integer not null default 0`]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

import { type Kysely, sql } from 'kysely'

const statements = [
  // The terms that a person accepted last.
  `alter table accounts add column terms_version text, add column terms_accepted_at timestamptz`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

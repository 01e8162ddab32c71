import { type Kysely, sql } from 'kysely'

const statements = [
  // The sentences of the consent page in several languages, by scope. `scopes` keeps one of them for each scope, which
  // is what the previous release shows.
  `alter table resource_servers add column scope_texts jsonb not null default '{}'`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

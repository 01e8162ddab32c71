import { type Kysely, sql } from 'kysely'

const statements = [
  // The `typ` of its JWTs, for libraries that do not know the one of RFC 9068.
  `alter table resource_servers add column token_type_header text not null default 'at+jwt'`,
  // Whether its tokens are valid for userinfo as well.
  `alter table resource_servers add column serves_userinfo boolean not null default false`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

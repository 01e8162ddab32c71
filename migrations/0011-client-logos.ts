import { type Kysely, sql } from 'kysely'

const statements = [
  // The logo of a client, fetched once and served from here. There is no image if it could not be fetched.
  `create table client_logos (
    client_id text primary key references clients on delete cascade,
    uri text not null,
    hash text,
    type text,
    image bytea,
    fetched_at timestamptz not null,
    check ((image is null) = (hash is null) and (image is null) = (type is null))
  )`,
  `create index client_logos_hash on client_logos (hash) where hash is not null`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

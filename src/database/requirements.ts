import { sql } from 'kysely'
import type { Db } from './schema.ts'

const oldestMajor = 15

/** The properties and permissions of a database that the server depends on. */
export type Suitability = {
  version: string
  user: string
  database: string
  schema: string | undefined
  mayCreate: boolean
  isSuperuser: boolean
  encoding: string
  clockMs: number
  isEncrypted: boolean
  settings: {
    maxConnections: number
    fsync: string
    full_page_writes: string
    synchronous_commit: string
    statementTimeout: string
  }
  /** The last time that PostgreSQL archived its log, and the last time that it failed to. */
  archiving: { archivedAt: Date | undefined; failedAt: Date | undefined }
  /** Reasons why it cannot be used, each with its remedy. */
  problems: string[]
}

type Row = {
  version: string
  version_number: number
  date_style: string
  user_name: string
  database: string
  schema: string | null
  may_create: boolean | null
  is_superuser: boolean
  encoding: string
  clock_ms: number
  is_encrypted: boolean | null
  max_connections: number
  fsync: string
  full_page_writes: string
  synchronous_commit: string
  statement_timeout: string
  archived_at: Date | null
  failed_at: Date | null
}

/** Examines the database of a connection, in one statement. */
export async function examine(db: Db): Promise<Suitability> {
  const { rows } = await sql<Row>`
    select current_setting('server_version') as version,
      current_setting('server_version_num')::int as version_number,
      current_setting('DateStyle') as date_style,
      current_user::text as user_name,
      current_database()::text as database,
      current_schema()::text as schema,
      has_schema_privilege(current_schema(), 'CREATE') as may_create,
      (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
      current_setting('server_encoding') as encoding,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as clock_ms,
      (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as is_encrypted,
      current_setting('max_connections')::int as max_connections,
      current_setting('fsync') as fsync,
      current_setting('full_page_writes') as full_page_writes,
      current_setting('synchronous_commit') as synchronous_commit,
      current_setting('statement_timeout') as statement_timeout,
      (select last_archived_time from pg_stat_archiver) as archived_at,
      (select last_failed_time from pg_stat_archiver) as failed_at`.execute(db)
  const [row] = rows
  if (!row) throw new Error('The database returned no row about itself.')
  const { version, user_name: user, database, schema } = row
  const name = (text: string) => `"${text.replaceAll('"', '""')}"`
  const problems: string[] = []
  if (isTooOld(row.version_number)) {
    problems.push(
      `It is PostgreSQL ${version}, and Postern needs ${oldestMajor} or newer. Upgrade it, or set DATABASE_URL to another.`,
    )
  }
  if (!row.date_style.startsWith('ISO')) {
    problems.push(
      `It writes dates as ${row.date_style} although Postern asks for ISO: a pooler between the two does not pass that on. Run: alter role ${name(user)} set datestyle = 'ISO'; and reconnect the pooler.`,
    )
  }
  return {
    version,
    user,
    database,
    schema: schema ?? undefined,
    mayCreate: row.may_create === true,
    isSuperuser: row.is_superuser,
    encoding: row.encoding,
    clockMs: row.clock_ms,
    isEncrypted: row.is_encrypted === true,
    settings: {
      maxConnections: row.max_connections,
      fsync: row.fsync,
      full_page_writes: row.full_page_writes,
      synchronous_commit: row.synchronous_commit,
      statementTimeout: row.statement_timeout,
    },
    archiving: { archivedAt: row.archived_at ?? undefined, failedAt: row.failed_at ?? undefined },
    problems,
  }
}

/** Returns whether a server_version_num is older than the releases that Postern supports. */
export const isTooOld = (versionNumber: number): boolean => versionNumber < oldestMajor * 10_000

/**
 * Checks that Postern can use a database, before anything is written to it.
 *
 * @throws Error that lists every problem and its remedy.
 */
export async function assertSuitable(db: Db, { hasToCreate }: { hasToCreate: boolean }): Promise<void> {
  const found = await examine(db)
  const problems = [...found.problems, ...(hasToCreate && !found.mayCreate ? [cannotCreate(found)] : [])]
  if (problems.length > 0) throw new Error(`The database cannot be used. ${problems.join(' ')}`)
}

/** Explains why its tables cannot be created, and what to do. */
export function cannotCreate({ user, database, schema }: Suitability): string {
  const name = (text: string) => `"${text.replaceAll('"', '""')}"`
  const owner = `alter database ${name(database)} owner to ${name(user)};`
  return schema === undefined
    ? `The role ${name(user)} has no schema to create tables in. As a superuser, run: ${owner}`
    : `The role ${name(user)} may not create tables in the schema ${name(schema)}. As a superuser, run: ${owner} or, in that database: grant usage, create on schema ${name(schema)} to ${name(user)};`
}

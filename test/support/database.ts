import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'

export type TestDatabase = {
  url: string
  /** Runs one statement as a superuser, bypassing our own code. */
  query(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  /** Has the database dropped. Nobody waits for the checkpoint that this takes. */
  drop(): Promise<void>
}

/** Creates a migrated database for one test file. */
export async function createDatabase(): Promise<TestDatabase> {
  const base = inject('postgresUrl')
  const name = `test_${randomBytes(8).toString('hex')}`
  const url = Object.assign(new URL(base), { pathname: `/${name}` }).href
  await once(base, `create database ${name} template postern_template`)
  return {
    url,
    query: (sql, values) => once(url, sql, values),
    drop: async () => {
      once(base, `drop database ${name} with (force)`).catch(() => {}) // at the end of a run, all of PostgreSQL goes
    },
  }
}

async function once(url: string, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql, values)).rows
  } finally {
    await client.end()
  }
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { connect } from '../../src/database/connect.ts'
import { start } from '../../src/database/embedded/index.ts'
import { migrate } from '../../src/database/migrate.ts'

export const templateDatabase = 'postern_template'

/** Starts one PostgreSQL for the whole run, with a migrated database that each test file copies. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['TEST_DATABASE_URL']
  const dataDir = given ? undefined : await mkdtemp(join(tmpdir(), 'postern-test-'))
  const embedded = dataDir ? await start({ dataDir, log: () => {} }) : undefined
  const url = embedded?.url ?? String(given)

  // The tests check what the server answers, not what it survives: tests of durability start a PostgreSQL of their own.
  const careless = ['fsync', 'full_page_writes'].map((name) => `alter system set ${name} = off`)
  if (embedded) await administer(url, [...careless, 'select pg_reload_conf()'])
  await administer(url, [`drop database if exists ${templateDatabase}`, `create database ${templateDatabase}`])
  const template = connect({
    url: withDatabase(url, templateDatabase),
    poolSize: 2,
    preparedStatements: true,
    onError: () => {},
  })
  await migrate(template.db)
  await template.close()
  project.provide('postgresUrl', url)

  return async () => {
    await embedded?.stop()
    if (dataDir) await rm(dataDir, { recursive: true, force: true })
  }
}

async function administer(url: string, statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

function withDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).href
}

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string
  }
}

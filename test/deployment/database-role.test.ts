import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postern } from '../support/command-line.ts'
import { type PostgresqlServer, serverPrograms, startPostgresql } from '../support/postgresql-server.ts'

const script = fileURLToPath(new URL('../../deploy/database.sh', import.meta.url))
const password = `it's "quoted" $HOME \\ ${randomBytes(4).toString('hex')}`

describe.runIf(serverPrograms)('deploy/database.sh', () => {
  let server: PostgresqlServer
  let url: string

  beforeAll(async () => {
    server = await startPostgresql({ authentication: 'scram-sha-256' })
    url = `postgres://postern:${encodeURIComponent(password)}@127.0.0.1:${server.port}/postern`
    const { PATH = '' } = process.env
    const given = { POSTGRES_USER: 'admin', POSTERN_PASSWORD: password } // as the image of PostgreSQL passes them
    const env = { PATH, PGHOST: '127.0.0.1', PGPORT: String(server.port), ...given }
    await promisify(execFile)('sh', ['-e', script], { env })
  }, 60_000)
  afterAll(() => server?.stop())

  async function query(sql: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }

  test('creates a role that is not a superuser and may do nothing beyond its database', async () => {
    const sql = `select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls as is_privileged,
      (select count(*)::int from pg_auth_members where member = r.oid) as memberships from pg_roles r
      where rolname = current_user`
    expect(await query(sql)).toEqual([{ is_privileged: false, memberships: 0 }])
    for (const forbidden of ['create role other', 'create database other', `copy (select 1) to program 'true'`]) {
      await expect(query(forbidden), forbidden).rejects.toThrow(/permission denied|must be superuser/)
    }
  })

  test('creates a database that this role owns, and no other role connects to', async () => {
    const sql = `select pg_get_userbyid(datdba) as owner, datacl::text like '%{=%' or datacl::text like '%,=%' as is_public
      from pg_database where datname = 'postern'`
    expect(await query(sql)).toEqual([{ owner: 'postern', is_public: false }])
  })

  test('passes the password in the arguments of no process', async () => {
    expect(await readFile(script, 'utf8')).not.toContain('$POSTERN_PASSWORD')
  })

  test('gives Postern everything that it needs', async () => {
    const env = { DATABASE_URL: url, ENCRYPTION_KEYS: randomBytes(32).toString('base64') }
    expect(await postern(['migrate'], { env })).toMatchObject({ code: 0, stderr: '' })
    expect(await postern(['client', 'create', '--redirect-uris', 'https://rp.example/cb'], { env })).toMatchObject({
      code: 0,
      stderr: '',
    })
  })
})

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Certificate } from './certificate.ts'
import { freePort } from './postern.ts'

const run = promisify(execFile)
const readyWithinMs = 120_000

// PostgreSQL refuses to run as root.
const owner = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined
const surroundings = { ...owner, cwd: '/', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } }

/** The folder where Debian keeps the programs of the oldest installed PostgreSQL server, if there is one. */
export const serverPrograms: string | undefined = globSync('/usr/lib/postgresql/*/bin/initdb').sort().map(dirname)[0]

/** A PostgreSQL of the system, as an operator runs it: each role owns one database, and none is a superuser. */
export type PostgresqlServer = {
  port: number
  /** Creates an empty database that belongs to a role of the same name. */
  createDatabase(name: string, password?: string): Promise<string>
  stop(): Promise<void>
}

type Options = {
  certificate?: Certificate
  /** The authentication method of pg_hba.conf for everybody but the superuser `admin`. */
  authentication?: 'trust' | 'password' | 'scram-sha-256'
}

export async function startPostgresql({
  certificate,
  authentication = 'trust',
}: Options = {}): Promise<PostgresqlServer> {
  if (!serverPrograms) throw new Error('There is no PostgreSQL server in /usr/lib/postgresql.')
  const programs = serverPrograms
  const folder = await mkdtemp(join(tmpdir(), 'postern-postgresql-'))
  if (owner) await chown(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  const asked = [`--pgdata=${data}`, '--username=admin', '--auth=trust', '--encoding=UTF8', '--no-locale', '--no-sync']
  await run(join(programs, 'initdb'), asked, surroundings)
  const rules = ['host all admin 127.0.0.1/32 trust', `host all all 127.0.0.1/32 ${authentication}`]
  await writeFile(join(data, 'pg_hba.conf'), `${rules.join('\n')}\n`)
  const port = await freePort()
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
  if (certificate) {
    for (const [name, text] of [['server.crt', certificate.cert] as const, ['server.key', certificate.key] as const]) {
      await writeFile(join(data, name), text, { mode: 0o600 })
      if (owner) await chown(join(data, name), owner.uid, owner.gid)
    }
    settings.push('ssl=on')
  }
  const server = spawn(
    join(programs, 'postgres'),
    ['-D', data, '-p', String(port), ...settings.flatMap((one) => ['-c', one])],
    surroundings,
  )
  let complaints = ''
  server.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaints += chunk
  })
  const killAtExit = () => server.kill('SIGQUIT')
  process.on('exit', killAtExit)
  const url = (name: string, role: string, password = 'not-asked') =>
    `postgres://${role}:${password}@127.0.0.1:${port}/${name}`

  async function administer(statements: string[]): Promise<void> {
    const client = new pg.Client({ connectionString: url('postgres', 'admin') })
    await client.connect()
    try {
      for (const statement of statements) await client.query(statement)
    } finally {
      await client.end()
    }
  }

  for (const deadline = Date.now() + readyWithinMs; ; await sleep(50)) {
    if (
      await administer([]).then(
        () => true,
        () => false,
      )
    )
      break
    if (server.exitCode !== null || Date.now() > deadline) throw new Error(`PostgreSQL did not start: ${complaints}`)
  }
  return {
    port,
    async createDatabase(name, password) {
      const secret = password === undefined ? '' : ` password '${password}'`
      await administer([`create role ${name} login${secret}`, `create database ${name} owner ${name}`])
      return url(name, name, password)
    },
    async stop() {
      process.off('exit', killAtExit)
      const ended = once(server, 'exit')
      server.kill('SIGINT') // fast shutdown
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

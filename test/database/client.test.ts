import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, isUnavailable } from '../../src/database/connect.ts'
import { createCertificate } from '../support/certificate.ts'
import { postern } from '../support/command-line.ts'
import { type PostgresqlServer, serverPrograms, startPostgresql } from '../support/postgresql-server.ts'

const password = 'S3cret-217200d9d86d'

/** Connects as a server does, and returns whether the connection is encrypted. */
async function attempt(url: string): Promise<unknown> {
  const database = connect({ url, poolSize: 2, preparedStatements: true, onError: () => {} })
  try {
    const client = await database.dedicated()
    try {
      const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
      return rows[0]
    } finally {
      await client.end()
    }
  } finally {
    await database.close()
  }
}

describe('a database that asks for the password in a form that reveals it', () => {
  let standIn: Server
  let heard: Buffer

  /** Starts an impostor of the database, which asks for a password and records what it receives. */
  async function startStandIn(question: Buffer): Promise<string> {
    heard = Buffer.alloc(0)
    standIn = createServer((socket) => {
      socket.once('data', (startup: Buffer) => {
        heard = Buffer.concat([heard, startup])
        socket.write(question)
        socket.on('data', (answer: Buffer) => {
          heard = Buffer.concat([heard, answer])
          socket.end()
        })
      })
      socket.on('error', () => {})
    })
    standIn.listen(0, '127.0.0.1')
    await once(standIn, 'listening')
    return `postgres://postern:${password}@127.0.0.1:${(standIn.address() as AddressInfo).port}/postern`
  }

  afterEach(() => new Promise((resolve) => standIn.close(resolve)))

  // PostgreSQL's protocol 3.0, "Message Formats": Byte1('R'), the length, the kind, and for MD5 a salt.
  test.each([
    ['AuthenticationCleartextPassword', Buffer.from('R\0\0\0\x08\0\0\0\x03', 'latin1'), 'in clear'],
    ['AuthenticationMD5Password', Buffer.from('R\0\0\0\x0c\0\0\0\x05salt', 'latin1'), 'hashed with MD5'],
  ])('by %s without TLS receives nothing, and the operator learns what to do', async (_name, question, how) => {
    const url = await startStandIn(question)
    await expect(attempt(url)).rejects.toThrow(
      `The database asked for the password ${how}, and Postern did not send it.`,
    )
    expect(heard.toString('latin1')).toContain('user\0postern\0')
    expect(heard.toString('latin1')).not.toContain(password)
    expect(heard.length).toBe(heard.readInt32BE(0)) // only the startup message
  })
})

describe.runIf(serverPrograms)('a PostgreSQL with TLS', () => {
  let folder: string
  let server: PostgresqlServer
  let url: string
  const own = createCertificate()
  let address: (host: string, parameters?: Record<string, string>) => string
  const file = (name: string) => join(folder, name)

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-tls-'))
    await writeFile(file('ca.pem'), own.cert)
    await writeFile(file('other.pem'), createCertificate().cert)
    server = await startPostgresql({ certificate: own, authentication: 'password' })
    url = await server.createDatabase('postern', password)
    address = (host, parameters = {}) => {
      const changed = new URL(url)
      changed.hostname = host
      for (const [name, value] of Object.entries(parameters)) changed.searchParams.set(name, value)
      return changed.href
    }
  }, 60_000)
  afterAll(async () => {
    await server?.stop()
    if (folder) await rm(folder, { recursive: true })
  })

  test('may ask for the password in clear when it is verified', async () => {
    const verified = address('localhost', { sslmode: 'verify-full', sslrootcert: file('ca.pem') })
    expect(await attempt(verified)).toEqual({ ssl: true })
  })

  test('may not ask for the password in clear when it is not verified', async () => {
    for (const sslmode of ['disable', 'no-verify']) {
      await expect(attempt(address('localhost', { sslmode })), sslmode).rejects.toThrow('did not send it')
    }
  })

  test('is rejected when another authority issued its certificate', async () => {
    const untrusted = address('localhost', { sslmode: 'verify-full', sslrootcert: file('other.pem') })
    await expect(attempt(untrusted)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    const unknown = address('localhost', { sslmode: 'verify-full' })
    await expect(attempt(unknown)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  })

  test('keeps a server from starting when it does not prove its identity, with advice', async () => {
    const DATABASE_URL = address('127.0.0.1', { sslmode: 'verify-full', sslrootcert: file('ca.pem') })
    const env = { DATABASE_URL, ENCRYPTION_KEYS: randomBytes(32).toString('base64') }
    const { code, stderr } = await postern(['start'], { env })
    expect(code).toBe(1)
    expect(stderr).toContain('did not prove its identity (ERR_TLS_CERT_ALTNAME_INVALID). Its certificate must be for')
  })

  test('is rejected when its certificate is for another host', async () => {
    const elsewhere = address('127.0.0.1', { sslmode: 'verify-full', sslrootcert: file('ca.pem') })
    await expect(attempt(elsewhere)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  })

  test('is verified whatever the environment says about certificates, hosts and modes', async () => {
    const misleading = {
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      PGHOST: 'database.invalid',
      PGSSLMODE: 'no-verify',
      PGSSLNEGOTIATION: 'direct',
    }
    const before = { ...process.env }
    Object.assign(process.env, misleading)
    try {
      const [good, bad] = ['ca.pem', 'other.pem'].map((name) =>
        address('localhost', { sslmode: 'verify-full', sslrootcert: file(name) }),
      )
      expect(await attempt(String(good))).toEqual({ ssl: true })
      await expect(attempt(String(bad))).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    } finally {
      for (const name of Object.keys(misleading)) delete process.env[name]
      Object.assign(process.env, before)
    }
  })

  test('is not connected to without a file that the address names, and the operator learns which', async () => {
    const missing = address('localhost', { sslmode: 'verify-full', sslrootcert: file('nowhere.pem') })
    await expect(attempt(missing)).rejects.toThrow('The sslrootcert in DATABASE_URL cannot be read (ENOENT).')
  })

  test.each<[what: string, host: string, parameters: () => Record<string, string>]>([
    ['its certificate is not trusted', 'localhost', () => ({ sslrootcert: file('other.pem') })],
    ['its certificate is for another host', '127.0.0.1', () => ({ sslrootcert: file('ca.pem') })],
    ['it refuses the password', 'localhost', () => ({ sslrootcert: file('ca.pem'), password: 'another' })],
  ])('counts as unavailable when %s', async (_what, host, parameters) => {
    const url = address(host, { sslmode: 'verify-full', ...parameters() })
    const database = connect({ url, poolSize: 1, preparedStatements: true, onError: () => {} })
    try {
      const failure = await sql`select 1`.execute(database.db).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(Error)
      expect(isUnavailable(failure)).toBe(true)
    } finally {
      await database.close()
    }
  })

  test('can still be connected to after a file was replaced', async () => {
    const name = file('replaced.pem')
    await writeFile(name, createCertificate().cert)
    const replaced = address('localhost', { sslmode: 'verify-full', sslrootcert: name })
    const database = connect({ url: replaced, poolSize: 1, preparedStatements: true, onError: () => {} })
    try {
      await expect(database.dedicated()).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
      await writeFile(name, createCertificate().cert) // still of another server
      await rm(name)
      await expect(database.dedicated()).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
      await writeFile(name, own.cert)
      await (await database.dedicated()).end()
    } finally {
      await database.close()
    }
  })
})

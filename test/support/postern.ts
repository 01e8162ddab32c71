import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import type { Postern, PosternOptions } from '../../src/assemble/index.ts'
import { type Config, parse } from '../../src/config/index.ts'
import { createPasswords, type Passwords } from '../../src/crypto/passwords.ts'
import { createLogger } from '../../src/log/index.ts'
import { registerClient } from '../../src/oidc/registration/by-administrator.ts'
import { type RunningServer, serve } from '../../src/serve.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import * as resourceServers from '../../src/stores/clients/resource-servers.ts'
import * as accounts from '../../src/stores/people/accounts.ts'
import { createDatabase, type TestDatabase } from './database.ts'
import { idTokenMetadata, idTokenSettings } from './id-tokens.ts'
import { recordStatements } from './statements.ts'

export const password = 'correct horse battery staple'

/** Creates password hashing that takes next to no time. */
export const cheapPasswords = (): Passwords => createPasswords({ insecureCost: { memoryCost: 64, timeCost: 2 } })

export type TestPostern = {
  issuer: string
  env: Record<string, string>
  config: Config
  database: TestDatabase
  server: RunningServer
  /** SQL statements that requests and the test sent since the last `statements.splice(0)`. */
  statements: string[]
  /** The same of the server's jobs and checks, and of what it writes later. */
  statementsOfServer: string[]
  /** Returns a function that tells, once for each statement, whether a request sent it. */
  tellApart(): (sql: string) => boolean
  /** Everything logged, as lines of JSON. */
  logged: string[]
  createAccount(email: string, profile?: Record<string, unknown>): Promise<accounts.Account>
  createClient(metadata?: Record<string, unknown>): Promise<ClientMetadata>
  createResource(server: Partial<resourceServers.ResourceServer> & { identifier: string }): Promise<void>
  /** Stops the server and starts it again on the same data. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Returns the settings of a server on a database, at a free port. */
export async function environmentFor(databaseUrl: string): Promise<Record<string, string>> {
  const port = await freePort()
  return {
    ISSUER: `http://localhost:${port}`,
    PORT: String(port),
    DATABASE_URL: databaseUrl,
    DATABASE_POOL_SIZE: '8',
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    MIGRATE_ON_START: 'false',
    ...idTokenSettings,
  }
}

/**
 * Starts a whole Postern in this process, with its own database and a real port. `databaseUrl` may change the address.
 * Passwords are hashed cheaply unless `hashing` is real: that is for tests of what it costs, or of the queue for it.
 */
export async function startPostern(
  settings: Record<string, string> = {},
  {
    databaseUrl = (url) => url,
    hashing = 'cheap',
    ...options
  }: Pick<PosternOptions, 'fetch'> & { databaseUrl?(url: string): string; hashing?: 'cheap' | 'real' } = {},
): Promise<TestPostern> {
  const database = await createDatabase()
  const env = { ...(await environmentFor(databaseUrl(database.url))), ...settings }
  const config = parse(env)
  const statements = recordStatements()
  const logged: string[] = []
  const log = createLogger('trace', { write: (line) => logged.push(line) })
  const passwords = hashing === 'cheap' ? cheapPasswords : createPasswords
  const begin = () =>
    statements.starting(() => serve(config, { ...options, log, onStatement: statements.note, passwords: passwords() }))
  let server = await begin()

  return {
    issuer: config.ISSUER,
    env,
    config,
    database,
    get server() {
      return server
    },
    statements: statements.ofRequests,
    statementsOfServer: statements.ofServer,
    tellApart: statements.tellApart,
    logged,
    async createAccount(email, profile = {}) {
      const { postern } = server
      const passwordHash = await postern.passwords.hash(password)
      const created = await postern.database.db
        .transaction()
        .execute((tx) => accounts.create(tx, { email, emailVerified: true, profile, passwordHash }))
      if (created === 'email-taken') throw new Error(`${email} is taken`)
      return created
    },
    createClient: (metadata = {}) => createClient(server.postern, metadata),
    async createResource(given) {
      const defaults = { name: given.identifier, scopes: { read: 'Read' }, tokenFormat: 'opaque' as const }
      const resource = { ...defaults, tokenTtlSeconds: undefined, clientId: undefined, ...given }
      await server.postern.database.db.transaction().execute((tx) => resourceServers.save(tx, resource))
    },
    async restart() {
      await server.stop()
      server = await begin()
    },
    async stop() {
      await server.stop()
      statements.stop()
      await database.drop()
    },
  }
}

/** Starts a server in this process with exactly these settings, and without a log. */
export function serveWith(env: Record<string, string>): Promise<RunningServer> {
  return serve(parse(env), { log: createLogger('silent'), passwords: cheapPasswords() })
}

/** Starts another server of the same deployment, on the same data and at a port of its own: to the database a second process. */
export async function serveBeside({ env }: TestPostern, settings: Record<string, string> = {}): Promise<RunningServer> {
  return serveWith({ ...env, ...settings, PORT: String(await freePort()) })
}

/** Registers a client as an administrator does, with defaults for what the metadata omit. */
export async function createClient(
  { database, provider, storage }: Postern,
  metadata: Record<string, unknown>,
): Promise<ClientMetadata> {
  const created = await database.db.transaction().execute((tx) =>
    registerClient(
      { tx, provider, storage },
      {
        client_name: 'Test app',
        redirect_uris: ['https://rp.example/cb'],
        grant_types: ['authorization_code', 'refresh_token'],
        ...idTokenMetadata,
        ...metadata,
      },
    ),
  )
  storage.clients.forget(created.client_id)
  return created
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

import { readFileSync } from 'node:fs'
import type Provider from 'oidc-provider'
import type { Logger } from 'pino'
import { operations } from './admin/operations.ts'
import { createSignIn } from './authentication/sign-in.ts'
import type { Config } from './config.ts'
import { createEnvelope } from './crypto/envelope.ts'
import { createPasswords, type Passwords } from './crypto/passwords.ts'
import { migrate, pending } from './database/migrate.ts'
import { type OpenDatabase, open } from './database/open.ts'
import { createGuardedFetch } from './egress/guarded-fetch.ts'
import { createApp } from './http/app.ts'
import { createCsrf } from './http/csrf.ts'
import { listen } from './http/server.ts'
import { startRemovingClients } from './jobs/client-removal.ts'
import { startSweeping } from './jobs/sweep.ts'
import { load as loadEncryptionKeys } from './keys/encryption-keys.ts'
import { type Keyring, load as loadKeyring } from './keys/keyring.ts'
import { createClientDocuments } from './oidc/client-documents.ts'
import { createClientUses, noteUses } from './oidc/client-uses.ts'
import { type ClientCache, createClientCache } from './oidc/clients.ts'
import { createDocuments } from './oidc/document-fetching.ts'
import { createDynamicRegistration } from './oidc/dynamic-registration.ts'
import { routes } from './oidc/features.ts'
import { lifetimes } from './oidc/lifetimes.ts'
import { createPages } from './oidc/pages.ts'
import { createProvider } from './oidc/provider.ts'
import { createResourceServers, type ResourceServers } from './oidc/resource-servers.ts'
import { createStorage, type Storage } from './oidc/storage.ts'
import { createWayBack, type FindWayBack } from './oidc/way-back.ts'
import { createStatementVerifier, type VerifyStatement } from './registration/software-statements.ts'
import { createViews, type Render } from './views.ts'

/** Everything but the network: what the server and the command line both stand on. */
export type Postern = {
  config: Config
  database: OpenDatabase
  keyring: Keyring
  storage: Storage
  provider: Provider
  clients: ClientCache
  resourceServers: ResourceServers
  passwords: Passwords
  render: Render
  findWayBack: FindWayBack
  close(): Promise<void>
}

export type PosternOptions = {
  log: Logger
  onStatement?: (sql: string) => void
  /** How what clients name is fetched; by default the guarded way. */
  fetch?: typeof globalThis.fetch
}

/** The version in package.json. */
export const version: string = (() => {
  const path = import.meta.filename.endsWith('.ts') ? '../package.json' : '../../package.json'
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version
})()

/** Opens the database, brings it up to date, loads the keys and builds the engine. */
export async function assemble(config: Config, { log, onStatement, ...options }: PosternOptions): Promise<Postern> {
  const encryptionKeys = await loadEncryptionKeys(config)
  const database = await open(
    config,
    {
      onError: (error) => log.warn({ err: error }, 'a database connection was lost'),
      ...(onStatement && { onStatement }),
    },
    (message, details) => log.debug(details ?? {}, message),
  )
  let clients: ClientCache | undefined
  try {
    const { db } = database
    if (config.MIGRATE_ON_START) {
      const applied = await migrate(db)
      if (applied.length > 0) log.info({ applied }, 'migrated')
    } else if ((await pending(db)).length > 0) {
      throw new Error('The database schema is not up to date. Run: postern migrate')
    }
    const envelope = createEnvelope(encryptionKeys)
    const keyring = await loadKeyring(db, envelope)
    const cache = createClientCache({ database, db, envelope })
    clients = cache
    const resourceServers = createResourceServers(db, config.ISSUER)
    const storage = createStorage({
      issuer: config.ISSUER,
      db,
      envelope,
      clients: cache,
      userCodeKey: keyring.userCodeKey,
      reuseWindowSeconds: config.REFRESH_TOKEN_REUSE_WINDOW_SECONDS,
    })
    const { render } = createViews()
    const findWayBack = createWayBack({ db, clients: cache })
    const pages = createPages({ render, findWayBack })
    const guardedFetch = createGuardedFetch({
      allowsLoopback: config.ISSUER.startsWith('http:'),
      privateHosts: config.EGRESS_PRIVATE_HOSTS,
      onFailure: ({ host, reason }) => log.warn({ err: reason, host }, 'what a client named could not be fetched'),
    })
    const fetch = options.fetch ?? guardedFetch
    const verify = createStatementVerifier({
      issuers: config.SOFTWARE_STATEMENT_ISSUERS,
      audiences: [config.ISSUER, config.ISSUER + routes.registration],
      fetch,
    })
    const verifyStatement: VerifyStatement = async (statement) => {
      try {
        return await verify(statement)
      } catch (error) {
        log.warn({ err: error }, 'a software statement could not be verified')
        throw error
      }
    }
    const registration = createDynamicRegistration({ storage, verifyStatement })
    const hosts = config.CLIENT_ID_METADATA_DOCUMENTS
    const documents =
      hosts.length > 0
        ? createClientDocuments({
            storage,
            documents: createDocuments({ db, throttleKey: keyring.throttleKey, fetch }),
            hosts,
          })
        : undefined
    return {
      config,
      database,
      keyring,
      storage,
      provider: createProvider({ config, keyring, storage, pages, registration, resourceServers, documents, fetch }),
      clients: cache,
      resourceServers,
      passwords: createPasswords(),
      render,
      findWayBack,
      async close() {
        await cache.stop()
        await database.close()
      },
    }
  } catch (error) {
    await clients?.stop()
    await database.close()
    throw error
  }
}

export type RunningServer = { port: number; postern: Postern; stop(): Promise<void> }

/** Starts serving. `stop()` finishes requests in flight, then lets go of everything. */
export async function serve(config: Config, options: PosternOptions): Promise<RunningServer> {
  const postern = await assemble(config, options)
  const { database, keyring, storage, provider, render } = postern
  const uses = createClientUses({ db: database.db, clients: postern.clients, log: options.log })
  let isStopping = false
  try {
    noteUses(provider, uses)
    const handler = createApp({
      db: database.db,
      provider,
      storage,
      render,
      log: options.log,
      issuer: config.ISSUER,
      version,
      operations: operations(),
      operationDependencies: postern,
      throttleKey: keyring.throttleKey,
      openRegistrations: config.OPEN_REGISTRATION
        ? {
            perHour: config.OPEN_REGISTRATIONS_PER_HOUR,
            perAddressPerHour: config.OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR,
          }
        : undefined,
      csrf: createCsrf({ issuer: config.ISSUER, key: keyring.csrfKey }),
      signIn: createSignIn({ db: database.db, passwords: postern.passwords, throttleKey: keyring.throttleKey }),
      resourceServers: postern.resourceServers,
      findWayBack: postern.findWayBack,
      grantLifetimeSeconds: lifetimes(config).grant,
      isStopping: () => isStopping,
    })
    const server = await listen({
      handler,
      issuer: config.ISSUER,
      trustedProxies: config.TRUSTED_PROXIES,
      host: config.HOST,
      port: config.PORT,
    })
    const jobs = [startSweeping, startRemovingClients].map((start) => start({ database, log: options.log }))
    return {
      port: server.port,
      postern,
      async stop() {
        isStopping = true
        await new Promise((resolve) => setTimeout(resolve, config.SHUTDOWN_DELAY_SECONDS * 1000))
        await Promise.all([server.stop(config.SHUTDOWN_TIMEOUT_SECONDS * 1000), ...jobs.map((job) => job.stop())])
        await uses.stop()
        await postern.close()
      },
    }
  } catch (error) {
    await postern.close()
    throw error
  }
}

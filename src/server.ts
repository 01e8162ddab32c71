import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import type Provider from 'oidc-provider'
import type { Logger } from 'pino'
import { operations } from './admin/operations.ts'
import { createSignIn } from './authentication/sign-in.ts'
import type { Config } from './config.ts'
import { createPasswords, type Passwords } from './crypto/passwords.ts'
import { type Claim, claim } from './database/claim.ts'
import type { OpenDatabase } from './database/open.ts'
import { createAllowances } from './http/allowances.ts'
import { createApp } from './http/app.ts'
import { createBrowserSignIn } from './http/browser-sign-in.ts'
import { createCsrf } from './http/csrf.ts'
import { createEarlyRefusals } from './http/refused-early.ts'
import { createRefusedRequests } from './http/refused-requests.ts'
import { listen } from './http/server.ts'
import { startRemovingClients } from './jobs/client-removal.ts'
import { startRotatingKeys } from './jobs/key-rotation.ts'
import { startSweeping } from './jobs/sweep.ts'
import type { KeyService } from './keys/key-service.ts'
import { assertUsable, type Keyring, load as loadKeyring, publishedKids } from './keys/keyring.ts'
import { open as openKeyService } from './keys/pkcs11.ts'
import type { RotationDependencies } from './keys/rotation.ts'
import { type KeyWatch, watchKeys } from './keys/watch.ts'
import { type Step, unseen } from './log/progress.ts'
import { createClientUses, noteUses } from './oidc/client-uses.ts'
import { type ClientCache, createClientCache } from './oidc/clients.ts'
import { lifetimes } from './oidc/lifetimes.ts'
import { warnOfMisnamedScopes } from './oidc/misnamed-scopes.ts'
import { pairwiseSubjects } from './oidc/pairwise.ts'
import { createProviders } from './oidc/providers.ts'
import { createResourceServers, type ResourceServers } from './oidc/resource-servers.ts'
import { createStorage, type Storage } from './oidc/storage.ts'
import { createWayBack, type FindWayBack } from './oidc/way-back.ts'
import { prepare } from './server/prepare.ts'
import { createViews, type Render } from './views.ts'

/** Everything but the network: what the server and the command line both stand on. */
export type Postern = {
  config: Config
  database: OpenDatabase
  keys: RotationDependencies
  storage: Storage
  /** The keys and the engine that has them; both are others after `use`. */
  readonly keyring: Keyring
  readonly provider: Provider
  /** Has requests from now on served with these keys, by another engine: it takes its keys when it is made. */
  use(keyring: Keyring): void
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
  /** Refuses to create a database: a command that is run in another folder would have an empty one. */
  mustExist?: boolean
  /** What the steps of starting are done by; by default nothing is shown of them. */
  step?: Step
  /** Ends the wait for a database that is not there yet. */
  signal?: AbortSignal
}

/** The version in package.json. */
export const version: string = (() => {
  const path = import.meta.filename.endsWith('.ts') ? '../package.json' : '../../package.json'
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version
})()

/** Opens the database, brings it up to date, loads the keys and builds the engine. */
export async function assemble(config: Config, options: PosternOptions): Promise<Postern> {
  const { log, onStatement, mustExist = false, step = unseen, signal } = options
  const { database, envelope } = await prepare(config, { log, onStatement, mustExist, step, signal })
  const { db } = database
  let clients: ClientCache | undefined
  let keyService: KeyService | undefined
  try {
    keyService = await openKeyService(config)
    const keys: RotationDependencies = { config, db, envelope, keyService }
    const keyring = await step('Keys', () => loadKeyring(keys))
    assertUsable(keyring)
    const cache = createClientCache({ database, db, envelope })
    clients = cache
    const resourceServers = createResourceServers({ db, issuer: config.ISSUER, log })
    const storage = createStorage({
      issuer: config.ISSUER,
      db,
      envelope,
      clients: cache,
      userCodeKey: keyring.userCodeKey,
      reuseWindowSeconds: config.REFRESH_TOKEN_REUSE_WINDOW_SECONDS,
    })
    const { render } = createViews()
    const findWayBack = createWayBack({ storage })
    const providerWith = createProviders({
      config,
      storage,
      resourceServers,
      render,
      findWayBack,
      throttleKey: keyring.throttleKey,
      log,
      fetch: options.fetch,
    })
    let current = { keyring, provider: providerWith(keyring) }
    return {
      config,
      database,
      keys,
      storage,
      get keyring() {
        return current.keyring
      },
      get provider() {
        return current.provider
      },
      use(renewed) {
        current = { keyring: renewed, provider: providerWith(renewed) }
      },
      clients: cache,
      resourceServers,
      passwords: createPasswords(),
      render,
      findWayBack,
      async close() {
        await cache.stop()
        await keyService?.close()
        await database.close()
      },
    }
  } catch (error) {
    await clients?.stop()
    await keyService?.close()
    await database.close()
    throw error
  }
}

export type RunningServer = { port: number; postern: Postern; stop(): Promise<void> }

/** Starts serving. `stop()` finishes requests in flight, then lets go of everything. */
export async function serve(config: Config, options: PosternOptions): Promise<RunningServer> {
  const postern = await assemble(config, options)
  const { database, storage, render } = postern
  const uses = createClientUses({ db: database.db, clients: postern.clients, log: options.log })
  const refusedRequests = createRefusedRequests({ db: database.db, log: options.log })
  const { throttleKey, csrfKey } = postern.keyring
  // What belongs to the process is made once; a handler is made whenever the keys change.
  const allowances = createAllowances(config) // of the process: other keys do not give them back
  const signIn = createBrowserSignIn({
    issuer: config.ISSUER,
    signIn: createSignIn({ db: database.db, passwords: postern.passwords, throttleKey }),
  })
  let isStopping = false
  let watch: KeyWatch | undefined
  let claimed: Claim | undefined

  function createHandler(): RequestListener {
    const { provider, keyring } = postern
    noteUses(provider, uses)
    return createApp({
      db: database.db,
      provider,
      storage,
      render,
      log: options.log,
      issuer: config.ISSUER,
      version,
      operations: operations(),
      operationDependencies: postern,
      throttleKey,
      subjectOf: pairwiseSubjects(keyring.pairwiseSalt),
      allowances,
      refusedRequests,
      openRegistrations: config.OPEN_REGISTRATION
        ? {
            perHour: config.OPEN_REGISTRATIONS_PER_HOUR,
            perAddressPerHour: config.OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR,
          }
        : undefined,
      csrf: createCsrf({ issuer: config.ISSUER, key: csrfKey }),
      signIn,
      resourceServers: postern.resourceServers,
      findWayBack: postern.findWayBack,
      grantLifetimeSeconds: lifetimes(config).grant,
      interactionLifetimeSeconds: config.INTERACTION_TTL_SECONDS,
      isStopping: () => isStopping,
      jwks: {
        kids: publishedKids(keyring),
        cacheSeconds: config.JWKS_CACHE_SECONDS,
        isCurrent: () => watch?.isCurrent() ?? true,
      },
    })
  }

  try {
    // A session of its own is nothing that a pooler lets one keep.
    if (config.DATABASE_PREPARED_STATEMENTS) claimed = await claim(database, config.ISSUER)
    await warnOfMisnamedScopes(database.db, options.log)
    let handler = createHandler()
    const { step = unseen } = options
    const server = await step(`Port ${config.PORT} of ${config.HOST}`, () =>
      listen({
        handler: (req, res) => handler(req, res),
        refuse: createEarlyRefusals({ issuer: config.ISSUER, render, log: options.log }),
        issuer: config.ISSUER,
        trustedProxies: config.TRUSTED_PROXIES,
        onUntrustedProxy: (address) =>
          options.log.warn(
            { address, setting: 'TRUSTED_PROXIES' },
            'X-Forwarded-For came from an address that is not among TRUSTED_PROXIES, and was not believed. If that is your proxy, name it there: until then everybody behind it counts as one. This is said once.',
          ),
        host: config.HOST,
        port: config.PORT,
        maxConnections: config.MAX_CONNECTIONS,
      }),
    )
    const watching = watchKeys(postern.keys, {
      database,
      version: postern.keyring.version,
      onChange(keyring) {
        postern.use(keyring)
        handler = createHandler() // requests that are being served finish with the one before
        options.log.debug('the keys changed')
      },
      log: options.log,
    })
    watch = watching
    const jobs = [
      startSweeping({ database, log: options.log, auditRetentionSeconds: config.AUDIT_RETENTION_SECONDS }),
      startRemovingClients({ database, log: options.log }),
      startRotatingKeys({ keys: postern.keys, log: options.log }),
    ]
    return {
      port: server.port,
      postern,
      async stop() {
        isStopping = true
        await new Promise((resolve) => setTimeout(resolve, config.SHUTDOWN_DELAY_SECONDS * 1000))
        await Promise.all([server.stop(config.SHUTDOWN_TIMEOUT_SECONDS * 1000), ...jobs.map((job) => job.stop())])
        await Promise.all([uses.stop(), refusedRequests.stop()])
        await watching.stop() // last: what is served until then may seal something, with a key that has to be noted
        await claimed?.stop()
        await postern.close()
      },
    }
  } catch (error) {
    await claimed?.stop()
    await postern.close()
    throw error
  }
}

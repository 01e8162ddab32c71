import type Provider from 'oidc-provider'
import type { Logger } from 'pino'
import { createUpstreamClient, type UpstreamClient } from '../authentication/federation/upstream-client.ts'
import { createDirectory, type Directory } from '../authentication/ldap/directory.ts'
import { rulesOf } from '../authentication/ldap/rules.ts'
import { type CurrentBrand, createBrand } from '../brand/index.ts'
import type { Config } from '../config/index.ts'
import { createPasswords, type Passwords } from '../crypto/passwords.ts'
import type { OpenDatabase } from '../database/open.ts'
import { createGuardedFetch } from '../egress/guarded-fetch.ts'
import { assertUsable, type Keyring, load as loadKeyring } from '../keys/keyring.ts'
import { open as openKeyService } from '../keys/pkcs11/index.ts'
import type { RotationDependencies } from '../keys/rotation.ts'
import { type Step, unseen } from '../log/progress.ts'
import { createCompose } from '../mail/compose.ts'
import { createConfirm } from '../mail/confirm.ts'
import type { Compose } from '../mail/delivery.ts'
import { createMailRenderer } from '../mail/render.ts'
import { createClientCache } from '../oidc/clients/cache.ts'
import { createResourceServers, type ResourceServers } from '../oidc/permissions/resource-servers.ts'
import { createProviders } from '../oidc/provider.ts'
import { createFindStoppedSignIn, type FindStoppedSignIn } from '../oidc/request/stopped-sign-ins.ts'
import { type ClientCache, createStorage, type Storage } from '../oidc/request/storage.ts'
import { createViews, type Render } from '../views/render.ts'
import { prepare } from './prepare.ts'

/** The parts that the server and the command line share: everything except the network. */
export type Postern = {
  config: Config
  database: OpenDatabase
  keys: RotationDependencies
  storage: Storage
  /** The current keys, and the engine built with them; `use` replaces both. */
  readonly keyring: Keyring
  readonly provider: Provider
  /** Builds an engine with these keys, and serves requests with it from now on. An engine cannot change its keys. */
  use(keyring: Keyring): void
  clients: ClientCache
  resourceServers: ResourceServers
  passwords: Passwords
  brand: CurrentBrand
  render: Render
  compose: Compose
  /** The directory that people sign in with, if there is one. */
  directory: Directory | undefined
  findStoppedSignIn: FindStoppedSignIn
  /** Speaks with the providers that people may sign in with. */
  upstreamClient: UpstreamClient
  close(): Promise<void>
}

export type PosternOptions = {
  log: Logger
  onStatement?: (sql: string) => void
  /** Fetches the documents that clients name. The default is the guarded fetch of egress/. */
  fetch?: typeof globalThis.fetch
  /** Hashes and verifies passwords. The default takes the time that protects them; most tests do not. */
  passwords?: Passwords | undefined
  /** Refuses to create a database. Otherwise a command that runs in the wrong folder would get an empty one. */
  mustExist?: boolean
  /** Runs each step of the start and shows it. The default shows nothing. */
  step?: Step
  /** Ends the wait for a database that is not reachable yet. */
  signal?: AbortSignal
}

/** Opens the database, brings it up to date, loads the keys and builds the engine. */
export async function assemble(config: Config, options: PosternOptions): Promise<Postern> {
  const { log, onStatement, mustExist = false, step = unseen, signal } = options
  await using opened = new AsyncDisposableStack() // closes what is open if a later step fails
  const { database, envelope } = await prepare(config, { log, onStatement, mustExist, step, signal })
  opened.defer(() => database.close())
  const { db } = database
  const keyService = await openKeyService(config)
  opened.defer(() => keyService?.close())
  const keys: RotationDependencies = { config, db, envelope, keyService }
  const keyring = await step('Keys', () => loadKeyring(keys))
  assertUsable(keyring)
  const clients = createClientCache({ database, db, envelope })
  opened.defer(() => clients.stop())
  const resourceServers = createResourceServers({ db, issuer: config.ISSUER, log })
  const storage = createStorage({
    issuer: config.ISSUER,
    db,
    envelope,
    clients,
    userCodeKey: keyring.userCodeKey,
    reuseWindowSeconds: config.REFRESH_TOKEN_REUSE_WINDOW_SECONDS,
  })
  const brand = createBrand(config)
  const { render } = createViews({ brand })
  const directoryRules = rulesOf(config)
  const directory =
    directoryRules &&
    createDirectory(directoryRules, ({ host, port }, error) =>
      log.warn({ err: error, server: `${host}:${port}` }, 'a server of the directory cannot be used'),
    )
  const compose = createCompose({
    issuer: config.ISSUER,
    render: createMailRenderer({ issuer: config.ISSUER, brand }),
    confirmWith: createConfirm({ issuer: config.ISSUER, envelope, key: keyring.confirmationKey }),
    invitationSeconds: config.INVITATION_TTL_SECONDS,
    defaultLanguage: config.DEFAULT_LANGUAGE,
    directory: directory && { passwordUrl: config.LDAP_PASSWORD_URL },
  })
  const findStoppedSignIn = createFindStoppedSignIn({ storage })
  const providerWith = createProviders({
    config,
    storage,
    resourceServers,
    render,
    findStoppedSignIn,
    throttleKey: keyring.throttleKey,
    log,
    fetch: options.fetch,
  })
  let current = { keyring, provider: providerWith(keyring) }
  const kept = opened.move()
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
    clients,
    resourceServers,
    passwords: options.passwords ?? createPasswords(),
    brand,
    render,
    compose,
    directory,
    findStoppedSignIn,
    upstreamClient: createUpstreamClient({ fetch: options.fetch ?? upstreamFetch(config, log) }),
    close: () => kept.disposeAsync(),
  }
}

const upstreamTimeLimitMs = 10_000 // a person waits, and gets nothing if it ends early

/** Returns the fetch for addresses of providers that an administrator set up, or that those providers name. */
function upstreamFetch(config: Config, log: Logger): typeof globalThis.fetch {
  return createGuardedFetch({
    allowsLoopback: config.ISSUER.startsWith('http:'),
    privateHosts: config.EGRESS_PRIVATE_HOSTS,
    timeLimitMs: upstreamTimeLimitMs,
    acceptsErrors: true,
    onFailure: ({ host, reason }) => log.warn({ err: reason, host }, 'an upstream provider could not be reached'),
  })
}

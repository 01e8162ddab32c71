import type Provider from 'oidc-provider'
import type { Logger } from 'pino'
import type { Config } from '../config/index.ts'
import { createGuardedFetch } from '../egress/guarded-fetch.ts'
import type { Keyring } from '../keys/keyring.ts'
import { createStatementVerifier, type VerifyStatement } from '../registration/software-statements.ts'
import type { Secret } from '../secret.ts'
import type { Render } from '../views/render.ts'
import { createLogos } from './clients/logos.ts'
import { createProvider } from './configuration.ts'
import { routes } from './endpoints.ts'
import { createPages } from './pages.ts'
import { acceptRequestUris } from './parameters/request-uris.ts'
import type { ResourceServers } from './permissions/resource-servers.ts'
import { explain } from './reasons/refusals.ts'
import { createDynamicRegistration } from './registration/by-client.ts'
import { createClientDocuments } from './registration/by-document.ts'
import { createDocuments } from './registration/document-fetch.ts'
import type { FindStoppedSignIn } from './request/stopped-sign-ins.ts'
import type { Storage } from './request/storage.ts'

export type ProvidersDependencies = {
  config: Config
  storage: Storage
  resourceServers: ResourceServers
  render: Render
  findStoppedSignIn: FindStoppedSignIn
  throttleKey: Secret<Buffer>
  log: Logger
  /** Fetches the addresses that clients name; by default the guarded way. */
  fetch?: typeof globalThis.fetch | undefined
}

/**
 * Returns a function that creates engines. They differ only in their keys, which an engine takes when it is created.
 * They share the storage, so that one engine may answer a browser's first request and another one the next.
 */
export function createProviders({
  config,
  storage,
  resourceServers,
  render,
  findStoppedSignIn,
  throttleKey,
  log,
  ...options
}: ProvidersDependencies): (keyring: Keyring) => Provider {
  const isLocal = config.ISSUER.startsWith('http:') // only a loopback address may use http
  const fetch =
    options.fetch ??
    createGuardedFetch({
      allowsLoopback: isLocal,
      privateHosts: config.EGRESS_PRIVATE_HOSTS,
      onFailure: ({ host, reason }) =>
        log.warn({ err: reason, host }, 'an address that a client named could not be fetched'),
    })
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
  const hosts = config.CLIENT_ID_METADATA_DOCUMENTS
  const read = createDocuments({ db: storage.db, throttleKey, fetch })
  const pages = createPages({
    render,
    findStoppedSignIn,
    explain: isLocal ? (ctx) => explain(storage.db, ctx) : undefined,
  })
  const logos = createLogos({ db: storage.db, fetch, log })
  const registration = createDynamicRegistration({ storage, verifyStatement })

  return (keyring) => {
    // A client belongs to the engine that it was parsed for. No other engine accepts it.
    const documents =
      hosts.length > 0 ? createClientDocuments({ storage, documents: read, hosts, throttleKey }) : undefined
    const dependencies = { config, keyring, storage, pages, registration, resourceServers, documents, logos, fetch }
    const provider = createProvider(dependencies)
    if (config.ALLOW_REQUEST_URI) acceptRequestUris(provider, { db: storage.db, throttleKey, fetch })
    return provider
  }
}

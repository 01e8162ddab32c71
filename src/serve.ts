import type { RequestListener } from 'node:http'
import { type Acting, createActing } from './accounts/acting.ts'
import { createDirectoryAccounts, type DirectoryAccounts } from './accounts/directory-sign-in.ts'
import { createAcceptAnother, createAcceptPassword } from './accounts/new-passwords.ts'
import { rulesFor } from './accounts/password.ts'
import { operations } from './admin/operations/index.ts'
import { assemble, type Postern, type PosternOptions } from './assemble/index.ts'
import { version } from './assemble/version.ts'
import { createFactorLimits } from './authentication/factor-limits.ts'
import { createMailLimits } from './authentication/mail-limits.ts'
import { relyingPartyFor } from './authentication/passkeys/relying-party.ts'
import { createSignIn } from './authentication/sign-in.ts'
import { signInRulesOf } from './authentication/sign-in-rules.ts'
import type { Config } from './config/index.ts'
import { lockIssuer } from './database/issuer-lock.ts'
import { createAllowances } from './http/allowances.ts'
import { createApp } from './http/app.ts'
import { createCsrf } from './http/csrf.ts'
import { createBrowserSignIn } from './http/interactions/browser-sign-in.ts'
import { createSignUp } from './http/interactions/sign-up-rules.ts'
import { createEarlyRefusals } from './http/refused-early.ts'
import { createRefusedRequests } from './http/refused-requests.ts'
import { listen } from './http/server.ts'
import { createUpstreams } from './http/upstream/upstreams.ts'
import { startDeletingAccounts } from './jobs/account-deletion.ts'
import { startRemovingClients } from './jobs/client-removal.ts'
import { startRecheckingDirectory } from './jobs/directory-recheck.ts'
import { startRotatingKeys } from './jobs/key-rotation.ts'
import { startDeliveringMail } from './jobs/mail-delivery.ts'
import { startSweeping } from './jobs/sweep.ts'
import { publishedKids } from './keys/keyring.ts'
import { type KeyWatch, watchKeys } from './keys/watch.ts'
import { unseen } from './log/progress.ts'
import { hasMailbox } from './mail/mailbox.ts'
import { registerAccountPages } from './oidc/clients/account-pages.ts'
import { createClientUses, noteUses } from './oidc/clients/last-used.ts'
import { createGrantUses, noteGrantUses } from './oidc/consent/last-used.ts'
import { lifetimes } from './oidc/lifetimes.ts'
import { pairwiseSubjects } from './oidc/pairwise.ts'
import { warnOfMisnamedScopes } from './oidc/permissions/misnamed-scopes.ts'
import * as factors from './stores/people/factors.ts'

export type RunningServer = { port: number; postern: Postern; stop(): Promise<void> }

/** Starts serving. `stop()` lets requests in flight finish and then releases everything. */
export async function serve(config: Config, options: PosternOptions): Promise<RunningServer> {
  const { log, step = unseen } = options
  await using started = new AsyncDisposableStack() // stops what is running if a later step fails
  const postern = started.adopt(await assemble(config, options), (assembled) => assembled.close())
  const { database, render, storage } = postern
  const { db } = database
  if (config.DATABASE_PREPARED_STATEMENTS) {
    // Without prepared statements there is a pooler, and a pooler does not let a connection keep its session.
    started.adopt(await lockIssuer(database, config.ISSUER), (lock) => lock.stop())
  }
  await warnOfMisnamedScopes(db, log)
  await registerAccountPages(db, config.ISSUER)

  const status: Status = { isStopping: false, watch: undefined }
  const uses = createClientUses({ db, clients: postern.clients, log })
  const grantUses = createGrantUses({ db, log })
  const act = createActing({ db, envelope: postern.storage.envelope })
  const directory =
    postern.directory &&
    createDirectoryAccounts({
      db,
      act,
      directory: postern.directory,
      authority: { domains: config.LDAP_DOMAINS },
      passwordUrl: config.LDAP_PASSWORD_URL,
    })
  const refusedRequests = createRefusedRequests({ db, log })
  const createHandler = handlersOf({
    config,
    options,
    postern,
    status,
    act,
    directory,
    uses,
    grantUses,
    refusedRequests,
  })
  let handler = createHandler()
  const server = await step(`Port ${config.PORT} of ${config.HOST}`, () =>
    listen({
      handler: (req, res) => handler(req, res),
      refuse: createEarlyRefusals({ issuer: config.ISSUER, defaultLanguage: config.DEFAULT_LANGUAGE, render, log }),
      issuer: config.ISSUER,
      trustedProxies: config.TRUSTED_PROXIES,
      onUntrustedProxy: (address) =>
        log.warn(
          { address, setting: 'TRUSTED_PROXIES' },
          'ignored X-Forwarded-For from an address that is not in TRUSTED_PROXIES. If it is your proxy, add it: until then everybody behind it counts as one client. This warning appears once.',
        ),
      host: config.HOST,
      port: config.PORT,
      maxConnections: config.MAX_CONNECTIONS,
    }),
  )
  const watch = watchKeys(postern.keys, {
    database,
    version: postern.keyring.version,
    onChange(keyring) {
      postern.use(keyring)
      handler = createHandler() // requests in flight finish with the previous handler
      log.debug('the keys changed')
    },
    log,
  })
  status.watch = watch
  started.defer(() => watch.stop()) // after the last request: it may seal a value, and the watch records the key
  started.defer(async () => {
    await Promise.all([uses.stop(), grantUses.stop(), refusedRequests.stop()])
  })
  const jobs = [
    startSweeping({ database, log, auditRetentionSeconds: config.AUDIT_RETENTION_SECONDS }),
    startRemovingClients({ database, log }),
    startDeletingAccounts({ database, act, log }),
    startRotatingKeys({ keys: postern.keys, log }),
    ...(directory && config.LDAP_RECHECK_SECONDS > 0
      ? [startRecheckingDirectory({ database, directory, log, everySeconds: config.LDAP_RECHECK_SECONDS })]
      : []),
    startDeliveringMail({ database, envelope: storage.envelope, config, compose: postern.compose, log }),
  ]
  started.defer(async () => {
    await Promise.all([server.stop(config.SHUTDOWN_TIMEOUT_SECONDS * 1000), ...jobs.map((job) => job.stop())])
  })
  const running = started.move()
  return {
    port: server.port,
    postern,
    async stop() {
      status.isStopping = true
      await new Promise((resolve) => setTimeout(resolve, config.SHUTDOWN_DELAY_SECONDS * 1000))
      await running.disposeAsync()
    },
  }
}

type Status = { isStopping: boolean; watch: KeyWatch | undefined }

/**
 * Returns a function that creates a request handler with the current keys. State of the process is created once, here.
 */
function handlersOf({
  config,
  options: { log },
  postern,
  status,
  act,
  directory,
  uses,
  grantUses,
  refusedRequests,
}: {
  config: Config
  options: PosternOptions
  postern: Postern
  status: Status
  act: Acting
  directory: DirectoryAccounts | undefined
  uses: ReturnType<typeof createClientUses>
  grantUses: ReturnType<typeof createGrantUses>
  refusedRequests: ReturnType<typeof createRefusedRequests>
}): () => RequestListener {
  const { database, storage, render, brand } = postern
  const { throttleKey, csrfKey, confirmationKey } = postern.keyring
  const mailLimits = createMailLimits({ db: database.db, throttleKey })
  const { passwords } = postern
  const acceptPassword = createAcceptPassword({ passwords, rules: rulesFor(config) })
  const acceptAnother = createAcceptAnother({ db: database.db, passwords, acceptPassword })
  const allowances = createAllowances(config) // new keys do not reset the counts
  const signIn = createBrowserSignIn({
    issuer: config.ISSUER,
    signIn: createSignIn({ db: database.db, passwords: postern.passwords, throttleKey, directory }),
  })
  const signInRules = signInRulesOf(config)
  const signUp = createSignUp({ ...postern, throttleKey })
  const upstreams = createUpstreams({ ...postern, log })
  const relyingParty = config.PASSKEYS
    ? relyingPartyFor({ issuer: config.ISSUER, id: config.PASSKEY_RP_ID, name: () => brand().name })
    : undefined
  return () => {
    const { provider, keyring } = postern
    noteUses(provider, uses)
    noteGrantUses(provider, grantUses)
    return createApp({
      db: database.db,
      provider,
      storage,
      render,
      brand,
      log,
      issuer: config.ISSUER,
      version,
      defaultLanguage: config.DEFAULT_LANGUAGE,
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
      signUp,
      act,
      directory,
      editableClaims: config.EDITABLE_CLAIMS,
      stayMode: config.STAY_SIGNED_IN,
      deletionGraceSeconds: config.DELETION_GRACE_SECONDS,
      envelope: storage.envelope,
      mailLimits,
      confirmationKey,
      acceptPassword,
      acceptAnother,
      passwordMinLength: config.PASSWORD_MIN_LENGTH,
      offers: {
        passwords: config.PASSWORDS,
        recovery: config.PASSWORDS && config.PASSWORD_RECOVERY,
        code: config.SIGN_IN_BY_CODE,
        signUp: config.SIGN_UP === 'open',
        passkeys: config.PASSKEYS,
      },
      relyingParty,
      relatedOrigins: config.PASSKEY_RELATED_ORIGINS,
      allowedWays: { passwords: config.PASSWORDS, passkeys: config.PASSKEYS, mail: config.SIGN_IN_BY_CODE },
      ...signInRules,
      factorLimits: createFactorLimits({ db: database.db, throttleKey }),
      recoveryKey: postern.keyring.recoveryCodeKey,
      findFactors: (accountId) => factors.find(database.db, accountId),
      resourceServers: postern.resourceServers,
      findStoppedSignIn: postern.findStoppedSignIn,
      upstreams,
      grantLifetimeSeconds: lifetimes(config).grant,
      interactionLifetimeSeconds: config.INTERACTION_TTL_SECONDS,
      hasMailbox: hasMailbox(config),
      isStopping: () => status.isStopping,
      jwks: {
        kids: publishedKids(keyring),
        cacheSeconds: config.JWKS_CACHE_SECONDS,
        isCurrent: () => status.watch?.isCurrent() ?? true,
      },
    })
  }
}

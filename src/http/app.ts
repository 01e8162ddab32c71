import Router from '@koa/router'
import type Provider from 'oidc-provider'
import type { Logger } from 'pino'
import type { CurrentBrand } from '../brand/index.ts'
import { randomId } from '../crypto/digests.ts'
import type { Db } from '../database/schema.ts'
import type { Language } from '../languages/index.ts'
import type { PairwiseSubject } from '../oidc/pairwise.ts'
import { readerOf } from '../oidc/request/reader.ts'
import type { Storage } from '../oidc/request/storage.ts'
import type { Secret } from '../secret.ts'
import type { Render } from '../views/render.ts'
import type { AccountDependencies } from './account/dependencies.ts'
import { accountRoutes } from './account/routes.ts'
import type { Allowances } from './allowances.ts'
import { problemDetails } from './api/problems.ts'
import { type AdminDependencies, adminRoutes } from './api/routes.ts'
import { assetRoutes } from './assets.ts'
import { isByClient, logBadEnd } from './bad-ends.ts'
import { brandRoutes } from './brand.ts'
import { devicePolling } from './engine/device-polling.ts'
import { cacheableJwks, type PublishedKeys } from './engine/jwks.ts'
import { type OpenRegistrations, openRegistration } from './engine/open-registration.ts'
import { postedRequests } from './engine/posted-requests.ts'
import { registrationCors } from './engine/registration-cors.ts'
import { registrationResponses } from './engine/registration-responses.ts'
import { signingOut } from './engine/sign-out.ts'
import { boundStrangers } from './engine/strangers.ts'
import { refuseStrays } from './engine/strays.ts'
import { submittingPages } from './engine/submitting-pages.ts'
import { unitOfWork } from './engine/unit-of-work.ts'
import { ownUserCodesOnly, throttleUserCodes } from './engine/user-codes.ts'
import { healthRoutes } from './health.ts'
import { createBrowserAccounts } from './interactions/browser-accounts.ts'
import type { InteractionDependencies } from './interactions/dependencies.ts'
import { interactionRoutes } from './interactions/routes.ts'
import { languageRoutes } from './language-choice.ts'
import type { LinkDependencies } from './links/dependencies.ts'
import { linkRoutes } from './links/routes.ts'
import { logoRoutes } from './logos.ts'
import { mailboxRoutes } from './mailbox/routes.ts'
import { browserCookies } from './middleware/browser.ts'
import { emptyResponses } from './middleware/empty-responses.ts'
import { errorPages } from './middleware/errors.ts'
import { languagesOfBrowser } from './middleware/languages.ts'
import { knownMethods } from './middleware/methods.ts'
import { onePath } from './middleware/paths.ts'
import { explainRefusals } from './middleware/reasons.ts'
import { logRequests } from './middleware/requests.ts'
import { safeRequests } from './middleware/safe-requests.ts'
import { securityHeaders } from './middleware/security-headers.ts'
import { passkeyRoutes } from './passkeys.ts'
import type { RefusedRequests } from './refused-requests.ts'
import { upstreamRoutes } from './upstream/routes.ts'

export type AppDependencies = Omit<InteractionDependencies & AccountDependencies, 'browserAccounts'> &
  LinkDependencies &
  AdminDependencies & {
    db: Db
    provider: Provider
    storage: Storage
    render: Render
    brand: CurrentBrand
    log: Logger
    issuer: string
    version: string
    defaultLanguage: Language
    relatedOrigins: readonly string[]
    throttleKey: Secret<Buffer>
    subjectOf: PairwiseSubject
    /** The limits of registration without a token; `undefined` if it is off. */
    openRegistrations: OpenRegistrations | undefined
    allowances: Allowances
    refusedRequests: RefusedRequests
    interactionLifetimeSeconds: number
    /** Whether there is a page with the mails that wait. */
    hasMailbox: boolean
    isStopping: () => boolean
    jwks: PublishedKeys
  }

/**
 * Creates the request handler: our middleware around the engine, which is a Koa application itself. A middleware sees
 * the request after those above it, and the answer before them.
 */
export function createApp(dependencies: AppDependencies): ReturnType<Provider['callback']> {
  const {
    provider,
    storage,
    render,
    log,
    db,
    issuer,
    version,
    isStopping,
    throttleKey,
    defaultLanguage,
    openRegistrations,
    operationDependencies,
  } = dependencies
  const isSecure = issuer.startsWith('https:')
  const browserAccounts = createBrowserAccounts({ storage, provider, isSecure })
  const home = new Router()
  home.get('/', (ctx) => {
    ctx.body = render(readerOf(ctx), 'home', { issuer, version })
  })
  // A password manager opens this to let a person change a password (W3C, A Well-Known URL for Changing Passwords §3).
  home.get('/.well-known/change-password', (ctx) =>
    ctx.redirect(dependencies.allowedWays.passwords ? '/account/password' : '/account/security'),
  )

  // For every answer. The log is outermost, since it shows the final status, the time of everything below, and the
  // reason that explainRefusals finds. Headers are set before anything can fail, so that error pages have them too.
  provider.use(async (ctx, next) => {
    ctx.state['requestId'] = randomId(12)
    ctx.set('X-Request-Id', ctx.state['requestId'])
    if (isStopping()) ctx.set('Connection', 'close')
    await next()
    // The process may have begun to stop in the meantime. It would wait for a connection that the client keeps open.
    if (isStopping()) ctx.set('Connection', 'close')
  })
  provider.use(languagesOfBrowser({ defaultLanguage, isSecure }))
  provider.use(logRequests(log))
  provider.use(explainRefusals(dependencies))
  provider.use(securityHeaders({ isSecure }))
  provider.use(emptyResponses)

  // For errors of everything below. The admin API answers with problem details, so its errors are caught first.
  provider.use(errorPages({ render, log }))
  provider.use(problemDetails({ log }))

  // For requests that go no further, or go further in one form. The path has its final spelling before anything depends
  // on it, and the method is valid before anything acts on it. All of this happens before the database is read.
  provider.use(onePath())
  provider.use(knownMethods)
  provider.use(safeRequests)
  provider.use(registrationCors({ isOpen: openRegistrations !== undefined }))
  provider.use(postedRequests())

  // Routes without the engine. They come before the unit of work, because they stage no writes.
  provider.use(healthRoutes({ db, hasCurrentKeys: dependencies.jwks.isCurrent, isStopping }).routes())
  provider.use(brandRoutes(dependencies).routes())
  provider.use(assetRoutes().routes())
  provider.use(logoRoutes({ db }).routes())
  provider.use(home.routes())
  if (dependencies.relyingParty) provider.use(passkeyRoutes(dependencies).routes())
  if (dependencies.hasMailbox) provider.use(mailboxRoutes({ db, envelope: storage.envelope, render }).routes())
  provider.use(adminRoutes(dependencies).routes())

  // Around everything that writes. The page that posts an answer to an app is made after the unit of work has committed
  // the answer. boundStrangers counts the staged writes before they are committed, and takes back cookies that
  // browserCookies set.
  provider.use(submittingPages({ issuer, render }))
  provider.use(unitOfWork({ storage, provider }))
  provider.use(boundStrangers({ allowances: dependencies.allowances, storage }))
  provider.use(browserCookies({ isSecure, lifetimeSeconds: dependencies.interactionLifetimeSeconds }))

  // For one endpoint each, in any order. They need the work of the request, so they are inside the unit of work.
  if (openRegistrations) provider.use(openRegistration({ db, throttleKey, limits: openRegistrations }))
  provider.use(devicePolling({ db, throttleKey, intervalSeconds: operationDependencies.config.DEVICE_POLLING_SECONDS }))
  provider.use(cacheableJwks(dependencies.jwks))
  provider.use(registrationResponses())
  provider.use(signingOut({ provider, subjectOf: dependencies.subjectOf, isSecure, browserAccounts }))
  provider.use(ownUserCodesOnly(dependencies))
  throttleUserCodes(provider, { db, throttleKey })

  // The interactions, and after them the engine, which continues an interaction only in the browser that began it.
  provider.use(refuseStrays(dependencies))
  provider.use(interactionRoutes({ ...dependencies, browserAccounts }).routes())

  // The answers of upstream providers, which lead back to an interaction or to the account pages.
  provider.use(upstreamRoutes(dependencies).routes())

  // The links of mails. They find out which browser it is, as the interactions do.
  provider.use(linkRoutes(dependencies).routes())

  // The pages about a person's own account, and the choice of a language. They need the session, which is found inside the unit of work.
  provider.use(accountRoutes({ ...dependencies, browserAccounts }).routes())
  provider.use(languageRoutes(dependencies).routes())

  provider.on('server_error', (ctx, error) => {
    log.error({ err: error, requestId: ctx.state['requestId'] }, 'the engine failed')
  })
  provider.on('error' as never, (error: unknown, ctx?: { state: Record<string, unknown> }) => {
    const requestId = ctx?.state['requestId']
    if (isByClient(error)) logBadEnd(log, error, requestId)
    else log.error({ err: error, requestId }, 'a response could not be sent')
  })

  return provider.callback() // composes the middleware: later additions would have no effect
}

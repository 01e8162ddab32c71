import type { Context, Middleware } from 'koa'
import type Provider from 'oidc-provider'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { isReviewed } from '../../oidc/clients/shown.ts'
import { routes } from '../../oidc/endpoints.ts'
import type { PairwiseSubject } from '../../oidc/pairwise.ts'
import { isOfSession, readSignOut, type SignOutRequest } from '../../oidc/parameters/sign-out.ts'
import { recordRefusal } from '../../oidc/reasons/refusals.ts'
import { current } from '../../oidc/request/work.ts'
import type { BrowserAccounts } from '../interactions/browser-accounts.ts'
import { endSession } from './session-end.ts'

const confirmation = `${routes.end_session}/confirm`
const success = `${routes.end_session}/success`

/**
 * Signs a person out even if the app's request is invalid (RP-Initiated Logout 1.0 §2, §4). It asks the person first,
 * unless the app sends an ID token of this session and a registered address to return to, or nobody is signed in.
 */
export function signingOut(dependencies: {
  provider: Provider
  subjectOf: PairwiseSubject
  isSecure: boolean
  browserAccounts: BrowserAccounts
}): Middleware {
  const { provider, subjectOf, browserAccounts } = dependencies

  return async (ctx, next) => {
    if (ctx.path === confirmation) {
      await next()
      answerConfirmation(ctx)
      return
    }
    if (ctx.path === success) {
      ctx.state['otherAccounts'] = await browserAccounts.others(ctx)
      return next()
    }
    if (ctx.path !== routes.end_session) return next()

    const request = await readSignOut(provider, ctx.query)
    const { client, returnTo, flaw } = request
    if (flaw) recordRefusal(ctx, flaw, { client, params: ctx.query })
    const session = await provider.Session.get(ctx as unknown as KoaContextWithOIDC)

    if (isOfServer(ctx)) throw flaw ?? new errors.InvalidRequest(nothingEnded)
    const named = (await isOfSession(request, session, subjectOf)) ? undefined : await waitingFor(ctx, request)
    if (named !== undefined && (await browserAccounts.open(ctx, named))) {
      // The same question again, about the session that the app means, which is now the current one.
      leadOn(ctx, `${routes.end_session}?${new URLSearchParams(ctx.query as Record<string, string>)}`)
      return
    }
    const isSure = returnTo !== undefined && (await isOfSession(request, session, subjectOf))
    if (session.accountId && isSure) await endSession(ctx, session, dependencies)
    if (!session.accountId || isSure) {
      // Otherwise anybody could register an address and make links to this server lead there (RFC 9700 §4.11.2).
      const isTrusted = request.hint !== undefined || (client !== undefined && isReviewed(client))
      const way = isTrusted ? returnTo : undefined
      leadOn(ctx, way ?? signedOutPage({ clientId: client?.clientId, cannotReturn: flaw !== undefined }))
      return
    }
    const work = current()
    if (work) work.reads.cannotReturn = flaw !== undefined
    if (flaw) ctx.query = harmless(request)
    await next()
  }

  /** Returns the account whose session waits at this browser, if the ID token was issued in that session. */
  async function waitingFor(ctx: Context, request: SignOutRequest): Promise<string | undefined> {
    if (!request.hint) return undefined
    for (const session of await browserAccounts.sessions(ctx)) {
      if (await isOfSession(request, session, subjectOf)) return session.accountId
    }
    return undefined
  }
}

const nothingEnded =
  'nothing has ended, because the request has no cookie that names a session: send the browser here instead'

/**
 * Returns whether an app's back end sends the request: it has an ID token and no browser that could return. An answer
 * of success would tell it that the person is signed out, which is not so.
 */
function isOfServer(ctx: Context): boolean {
  const { id_token_hint: hint, post_logout_redirect_uri: uri } = ctx.query
  return Boolean(hint) && !uri && ctx.get('Cookie') === '' && ctx.accepts('json', 'html') === 'json'
}

/** Returns the part of an invalid request that is safe to use: its client. */
function harmless({ client }: SignOutRequest): Record<string, string> {
  return client ? { client_id: client.clientId } : {}
}

/**
 * Answers the form of the sign-out page. A form that is sent twice, or that another tab has outdated, leads to the
 * signed-out page, or back to the question if somebody is signed in.
 */
function answerConfirmation(ctx: Context): void {
  const { session, params } = (ctx as Partial<KoaContextWithOIDC>).oidc ?? {}
  if (!session || !params) return
  const state = (session.state ?? {}) as EngineState
  if (ctx.status === 303) {
    if (state.cannotReturn) leadOn(ctx, signedOutPage(state))
  } else if (ctx.status === 400 && (state.secret === undefined || state.secret !== params['xsrf'])) {
    leadOn(ctx, session.accountId ? questionAgain(ctx, state) : signedOutPage({ clientId: undefined }))
  }
}

/** The engine's state in the session, from the question to its answer, and our own note that the person cannot return. */
type EngineState = {
  secret?: string
  clientId?: string | undefined
  state?: string
  postLogoutRedirectUri?: string
  cannotReturn?: boolean
}

function questionAgain({ origin }: Context, { clientId, state, postLogoutRedirectUri }: EngineState): string {
  const isElsewhere = postLogoutRedirectUri !== undefined && URL.parse(postLogoutRedirectUri)?.origin !== origin
  const query = new URLSearchParams({
    ...(clientId && { client_id: clientId }),
    ...(isElsewhere && { post_logout_redirect_uri: postLogoutRedirectUri, ...(state && { state }) }),
  })
  return `${routes.end_session}?${query}`
}

function signedOutPage({ clientId, cannotReturn }: { clientId?: string | undefined; cannotReturn?: boolean }): string {
  const query = new URLSearchParams({
    ...(clientId && { client_id: clientId }),
    ...(cannotReturn && { returned: 'no' }),
  })
  return query.size === 0 ? success : `${success}?${query}`
}

function leadOn(ctx: Context, address: string): void {
  ctx.status = 303
  ctx.set('Cache-Control', 'no-store')
  ctx.redirect(address)
}

import Router from '@koa/router'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Logger } from 'pino'
import type { Acting } from '../../accounts/acting.ts'
import { callbackOf, type UpstreamClient } from '../../authentication/federation/upstream-client.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import { hasAsked } from '../../oidc/request/browser.ts'
import { current } from '../../oidc/request/work.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as upstreamRequests from '../../stores/people/upstream-requests.ts'
import { form } from '../forms.ts'
import { createRefusedForms } from '../interactions/refused-forms.ts'
import { backchannelLogout } from './backchannel-logout.ts'
import type { Upstreams } from './upstreams.ts'

type UpstreamDependencies = {
  db: Db
  provider: Provider
  act: Acting
  envelope: Envelope
  issuer: string
  upstreams: Upstreams
  log: Logger
}

const longestParameter = 8_192
// The parameters of an answer (OpenID Connect Core §3.1.2.5, RFC 6749 §4.1.2, RFC 9207 §2). No other is passed on.
const passedOn = ['code', 'state', 'iss', 'error', 'error_description']

/** Serves the address that upstream providers send browsers back to. */
export function upstreamRoutes(dependencies: UpstreamDependencies): Router {
  const { db, envelope, issuer, upstreams, log } = dependencies
  const refusedForms = createRefusedForms({ isSecure: issuer.startsWith('https:') })
  const router = new Router({ prefix: '/upstream/:provider' })
  router.use(async (ctx, next) => {
    ctx.set('Cache-Control', 'no-store')
    ctx.set('Referrer-Policy', 'no-referrer') // the address has a code in it
    await next()
  })

  // A form that another site sends arrives without the cookies of this browser. The redirect arrives with them.
  router.post('/callback', form, (ctx) => {
    const body = ((ctx.request as { body?: unknown }).body ?? {}) as Record<string, unknown>
    ctx.status = 303
    ctx.redirect(withParameters(ctx, body).href)
  })

  router.post('/backchannel-logout', form, backchannelLogout(dependencies))

  router.get('/callback', async (ctx) => {
    const callback = withParameters(ctx, ctx.query)
    const providerId = String(ctx.params['provider'])
    const state = callback.searchParams.get('state') ?? ''
    const sentAway = await upstreamRequests.findPlace(db, state)
    const browser = current()?.browser
    if (!sentAway || !browser || !hasAsked(browser, sentAway.place, sentAway.browserHash)) {
      return ctx.throw(400, 'This sign-in was not begun in this browser, or it is over. Begin again.')
    }
    const { browserHash } = sentAway
    const redeemed = await upstreamRequests.redeem<{ sent: Parameters<UpstreamClient['verify']>[2] }>(db, envelope, {
      ...{ state, providerId, browserHash },
    })
    const upstream = redeemed && (await upstreams.find(providerId))
    if (!redeemed || !upstream) return ctx.throw(400, 'This sign-in is over. Begin again.')
    const { purpose, data, stateHash } = redeemed
    try {
      const verified = await upstreams.verify(upstream, callback, data.sent)
      await upstreamRequests.answer(db, envelope, stateHash, { providerId, verified })
    } catch (error) {
      const isCancelled = callback.searchParams.get('error') === 'access_denied'
      const requestId = String(ctx.state['requestId'])
      if (!isCancelled) {
        log.warn({ err: error, provider: providerId, requestId }, 'the answer of an upstream provider was rejected')
        const details = { method: 'upstream', provider: providerId }
        const event = { type: 'sign_in.failed', address: ctx.ip, requestId, details, isByStranger: true } as const
        await audit.append(db, [event])
      }
      const reason = isCancelled ? 'upstream-cancelled' : 'upstream-failed'
      if (purpose.interaction !== undefined) {
        refusedForms.leadBack(ctx, purpose.interaction, { page: 'sign-in', error: reason, email: '' })
        return
      }
      ctx.status = 303
      ctx.redirect('/account/linked/finish')
      return
    }
    ctx.status = 303
    ctx.redirect(
      purpose.interaction === undefined ? '/account/linked/finish' : `/interaction/${purpose.interaction}/upstream`,
    )
  })

  /** Returns the address of this callback as the provider must have called it, with the parameters of its answer. */
  function withParameters(ctx: Context, given: Record<string, unknown>): URL {
    const url = new URL(callbackOf(issuer, String(ctx['params'].provider)))
    for (const name of passedOn) {
      const { [name]: value } = given
      if (Array.isArray(value)) ctx.throw(400, `${name} is repeated.`)
      if (typeof value === 'string' && value.length <= longestParameter) url.searchParams.set(name, value)
    }
    return url
  }

  return router
}

import type { Middleware } from 'koa'
import type Provider from 'oidc-provider'
import { networksOf } from '../../authentication/networks.ts'
import type { Db } from '../../database/schema.ts'
import { loggedPath } from '../../oidc/endpoints.ts'
import { explain, recordRefusal } from '../../oidc/reasons/refusals.ts'
import type { Allowances } from '../allowances.ts'
import type { RefusedRequests } from '../refused-requests.ts'

// The events that the engine emits when it rejects a request, one for each endpoint.
const events = [
  'authorization.error',
  'grant.error',
  'userinfo.error',
  'introspection.error',
  'revocation.error',
  'pushed_authorization_request.error',
  'device_authorization.error',
  'code_verification.error',
  'device_resume.error',
  'end_session.error',
  'end_session_confirm.error',
  'end_session_success.error',
  'registration_create.error',
  'registration_read.error',
  'registration_update.error',
  'registration_delete.error',
  'discovery.error',
  'jwks.error',
]

// Errors that are ordinary steps of the protocol: hundreds of them do not mean that something is wrong.
const steps = new Set([
  'authorization_pending',
  'slow_down',
  'login_required',
  'consent_required',
  'interaction_required',
  'use_dpop_nonce',
])

/** Finds the reason why a request was rejected, for its line in the log and for `postern explain`. */
export function explainRefusals({
  provider,
  db,
  allowances,
  refusedRequests,
}: {
  provider: Provider
  db: Db
  allowances: Allowances
  refusedRequests: RefusedRequests
}): Middleware {
  for (const event of events) provider.on(event as never, recordRefusal as never)

  /**
   * Returns whether another rejected request of a network may be stored. There is a limit, since being rejected costs
   * nothing.
   */
  function isAllowed(address: string): boolean {
    const { refusedByNetwork, refused } = allowances
    const charges = [
      ...networksOf(address).map(({ network, allowance: times }) => [refusedByNetwork, network, 1 / times] as const),
      [refused, '', 1] as const,
    ]
    if (charges.some(([allowance, key, amount]) => allowance.wait(key, amount) > 0)) return false
    for (const [allowance, key, amount] of charges) allowance.spend(key, amount)
    return true
  }

  return async (ctx, next) => {
    await next()
    const reason = await explain(db, ctx)
    if (!reason) return
    ctx.state['reason'] = reason
    const isOfEngine = (ctx as { oidc?: unknown }).oidc !== undefined
    if (!isOfEngine || steps.has(reason.error) || ctx.status >= 500 || !isAllowed(ctx.ip)) return
    refusedRequests.record({
      requestId: String(ctx.state['requestId']),
      occurredAt: new Date(),
      clientId: reason.clientId,
      method: ctx.method,
      path: loggedPath(ctx.path),
      status: ctx.status,
      reason,
    })
  }
}

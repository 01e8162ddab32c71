import type { Context, Middleware } from 'koa'
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { commit } from '../../oidc/adapters/commit.ts'
import { addressOf } from '../../oidc/endpoints.ts'
import { keptUserAgent } from '../../oidc/parameters/bounds.ts'
import { recordRefusal } from '../../oidc/reasons/refusals.ts'
import { assertDecisionRests } from '../../oidc/request/basis.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import { createWork, run } from '../../oidc/request/work.ts'
import { TooManyRequests } from '../../oidc/too-many-requests.ts'

/** Gives each request its work, which collects reads and writes, and applies the writes before the response is sent. */
export function unitOfWork({ storage, provider }: { storage: Storage; provider: Provider }): Middleware {
  return async (ctx, next) => {
    const work = createWork({
      endpoint: addressOf(ctx.path)?.endpoint ?? 'other',
      requestId: ctx.state['requestId'],
      address: ctx.ip,
      userAgent: keptUserAgent(ctx.get('user-agent')) || undefined,
    })
    await run(work, async () => {
      await next()
      const { oidc } = ctx as Partial<KoaContextWithOIDC>
      const clientId = oidc?.client?.clientId
      const error = await Promise.try(() => {
        assertDecisionRests(work, clientId)
        return commit(storage, work, { hasFailed: ctx.status >= 400, clientId })
      }).catch((cause) => {
        withdraw(ctx)
        throw cause
      })
      if (!error) return
      withdraw(ctx)
      if (error === 'moved') {
        ctx.status = 303
        ctx.redirect(askedAgainAt(ctx))
        return
      }
      if (work.endpoint !== 'token' && work.endpoint !== 'registration') throw error

      // The engine's answer did not take effect, so no part of it may be sent.
      recordRefusal(ctx, error)
      ctx.status = error.statusCode
      if (error instanceof TooManyRequests) ctx.set('Retry-After', String(error.retryAfterSeconds))
      // RFC 6750 §3
      if (ctx.status === 401) ctx.set('WWW-Authenticate', `Bearer realm="${storage.issuer}", error="${error.error}"`)
      ctx.body = {
        error: error.error,
        ...(error.error_description !== undefined && { error_description: error.error_description }),
      }
      if (work.endpoint === 'token') provider.emit('grant.error', ctx as never, error)
    })
  }
}

/**
 * Returns the address where the browser repeats the request, for an answer to the present state. A device's code is
 * entered again.
 */
function askedAgainAt(ctx: Context): string {
  if (ctx.method !== 'POST') return ctx.url
  const { user_code: userCode } = (ctx as Partial<KoaContextWithOIDC>).oidc?.body ?? {}
  return `${ctx.path}?${new URLSearchParams({ user_code: String(userCode) })}`
}

/** Removes the headers of an answer that did not take effect. */
function withdraw(ctx: Context): void {
  ctx.remove('Set-Cookie') // the cookies name a session that was not saved
  ctx.remove('Location') // it may carry a code that was never issued
}

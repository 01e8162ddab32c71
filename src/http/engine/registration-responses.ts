import type { Middleware } from 'koa'
import { current } from '../../oidc/request/work.ts'

/**
 * Answers a registration with the client's metadata as it is stored, all of its scopes included, and with its secret only
 * if that was made just now: who reads it later has it already, or should not (OpenID Connect Dynamic Client Registration
 * 1.0 §4.3).
 */
export function registrationResponses(): Middleware {
  return async (ctx, next) => {
    await next()
    const scope = current()
    const body: unknown = ctx.body
    if (scope?.endpoint !== 'registration' || ctx.status >= 300 || typeof body !== 'object' || body === null) return
    const { saved, permission, secret } = scope.registration
    const { client_secret: _, ...shown } = { ...body, ...(saved ?? permission?.client?.metadata) }
    ctx.body = secret ? { ...shown, client_secret: secret.value } : shown
  }
}

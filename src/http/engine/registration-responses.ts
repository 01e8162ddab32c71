import type { Middleware } from 'koa'
import { permissionOf } from '../../oidc/request/registration.ts'
import { current } from '../../oidc/request/work.ts'
import { tagged } from '../../registration/localized.ts'

/**
 * Answers a registration with the client's metadata as it is stored, including all of its scopes, and its names by language
 * (OpenID Connect Registration 1.0 §2.1). The secret is in the
 * answer only if this request created it: a client that reads its metadata later already has the secret, or should not
 * get it (OpenID Connect Dynamic Client Registration 1.0 §4.3).
 */
export function registrationResponses(): Middleware {
  return async (ctx, next) => {
    await next()
    const work = current()
    const body: unknown = ctx.body
    if (work?.endpoint !== 'registration' || ctx.status >= 300 || typeof body !== 'object' || body === null) return
    const { registration } = work
    const saved = registration.step === 'saved' ? registration : undefined
    const metadata = saved?.metadata ?? permissionOf(registration)?.client?.metadata
    const { client_secret: _, ...shown } = tagged({ ...body, ...metadata })
    ctx.body = saved?.secret ? { ...shown, client_secret: saved.secret.value } : shown
  }
}

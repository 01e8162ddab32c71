import type { Middleware } from 'koa'
import { routes } from '../../oidc/endpoints.ts'

const maxAgeSeconds = 3_600
const exposed = 'WWW-Authenticate, Retry-After'

/**
 * Lets browser apps of any origin register if open registration is on, and manage their registration with its access
 * token (RFC 7591 §3, RFC 7592 §2; Fetch §3.2, CORS). Any origin is safe, since these endpoints read no cookie.
 */
export function registrationCors({ isOpen }: { isOpen: boolean }): Middleware {
  return async (ctx, next) => {
    const isRegistration = ctx.path === routes.registration
    const isManagement = ctx.path.startsWith(`${routes.registration}/`)
    if (!isManagement && !isRegistration) return next()
    const isAllowed = isManagement || isOpen
    if (isAllowed) {
      ctx.vary('Origin')
      ctx.set('Access-Control-Allow-Origin', ctx.get('Origin') || '*')
    }
    if (ctx.method !== 'OPTIONS') {
      if (isAllowed) ctx.set('Access-Control-Expose-Headers', exposed)
      return next()
    }
    ctx.status = 204
    if (!isAllowed) return
    ctx.set('Access-Control-Allow-Methods', isManagement ? 'GET, PUT, DELETE' : 'POST')
    const wanted = ctx.get('Access-Control-Request-Headers')
    // Any header is allowed, as at the other endpoints: some clients send their version.
    if (wanted) ctx.set('Access-Control-Allow-Headers', wanted)
    ctx.set('Access-Control-Max-Age', String(maxAgeSeconds))
  }
}

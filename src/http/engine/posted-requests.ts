import type { Context, Middleware } from 'koa'
import { routes } from '../../oidc/endpoints.ts'

const paths: readonly string[] = [routes.authorization, routes.end_session]
const longestQuery = 6 * 1024 // bytes; many proxies accept a request line of up to 8 KiB

/**
 * Answers a request posted to the authorization or the end-session endpoint with a redirect to the same request by
 * GET (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2). The browser sends its `SameSite=Lax` cookies with the
 * GET, but not with a POST from another site. A repeated parameter stays repeated, so that the engine rejects it.
 */
export function postedRequests(): Middleware {
  return async (ctx, next) => {
    if (ctx.method !== 'POST' || !paths.includes(ctx.path)) return next()
    if (ctx.request.length !== 0 && !ctx.is('application/x-www-form-urlencoded')) {
      ctx.throw(415, 'Send the parameters as an HTML form.')
    }
    const query = new URLSearchParams(await readBody(ctx)).toString()
    if (query.length > longestQuery) refuseLength(ctx)
    ctx.status = 303
    ctx.set('Cache-Control', 'no-store')
    ctx.redirect(query === '' ? ctx.path : `${ctx.path}?${query}`)
  }
}

async function readBody(ctx: Context): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of ctx.req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > longestQuery) break
  }
  if (length > longestQuery) {
    ctx.req.resume() // an unread remainder would block the next request on this connection
    refuseLength(ctx)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function refuseLength(ctx: Context): never {
  return ctx.throw(413, 'The request is too long for an address. Push it instead (RFC 9126).')
}

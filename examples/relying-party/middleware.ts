import type { Middleware } from 'koa'
import * as oidc from 'openid-client'
import { messagePage } from './pages.ts'

export const securityHeaders: Middleware = async (ctx, next) => {
  ctx.set(
    'Content-Security-Policy',
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
  )
  ctx.set('X-Content-Type-Options', 'nosniff')
  ctx.set('Referrer-Policy', 'same-origin') // keeps the code in the callback's address from other sites
  ctx.set('Cache-Control', 'no-store')
  await next()
}

/** Rejects forms from other origins. A SameSite cookie only keeps out other sites, not other ports and subdomains. */
export const onlyFrom =
  (origin: string): Middleware =>
  async (ctx, next) => {
    if (ctx.get('Origin') !== origin) ctx.throw(403, 'This was not sent from a page of this app.')
    await next()
  }

/** Shows an error as a page: a refusal of the provider (`error`), one of this app (`expose`), or a failure. */
export const errorPages: Middleware = async (ctx, next) => {
  try {
    await next()
    if (ctx.status === 404 && !ctx.body) ctx.throw(404, 'There is nothing here.')
  } catch (thrown) {
    const { error, error_description, status, expose, message } = thrown as Error & Record<string, unknown>
    const isRefusal = error !== undefined || expose === true || thrown instanceof oidc.ClientError
    if (!isRefusal) console.error(thrown)
    ctx.status = isRefusal ? Number(status ?? 400) : 500
    ctx.body = messagePage(
      error === 'access_denied'
        ? { title: 'You are not signed in', text: 'You chose not to share anything with this app. That is fine.' }
        : { title: 'That did not work', text: isRefusal ? String(error_description ?? message) : 'Please try again.' },
    )
  }
}

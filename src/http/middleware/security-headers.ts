import type { Middleware } from 'koa'

// `report-sample` allows no script at all; the engine appends hashes to this directive for its own auto-submitting
// pages (form_post, account switch). There is no form-action: Chromium and WebKit apply it to every redirect after
// the form, and so break relying parties that go on to another origin or an app's own scheme.
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'report-sample'",
  "style-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join(';')

/** Headers that every response carries, whatever the issuer. */
export const headersOfEvery = {
  'Content-Security-Policy': contentSecurityPolicy,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'same-origin', // with no-referrer, browsers send our own forms with `Origin: null`
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
}

/** Sets the headers that every response carries. */
export function securityHeaders({ isSecure }: { isSecure: boolean }): Middleware {
  return async (ctx, next) => {
    ctx.set(headersOfEvery)
    if (isSecure) ctx.set('Strict-Transport-Security', 'max-age=63072000; includeSubDomains')
    await next()
    // A proxy that rewrites pages breaks them, such as one that hides e-mail addresses (RFC 9111 §5.2.2.6).
    if (ctx.response.is('html')) ctx.set('Cache-Control', 'no-store, no-transform')
  }
}

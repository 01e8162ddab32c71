import type { Middleware } from 'koa'
import { integrityOf, scripts } from '../../views/assets.ts'

// `report-sample` allows no script; the hashes allow the files that pages load (CSP 3 §8.4: an external script whose
// `integrity` has a hash of the policy). The engine appends hashes to this directive for its own self-submitting pages
// (form_post, account switch). form-action is missing on purpose: Chromium and WebKit apply it to every redirect after
// the form, which breaks relying parties that redirect to another origin or to an app's own scheme.
const contentSecurityPolicy = (hashes: readonly string[]) =>
  [
    "default-src 'none'",
    `script-src 'report-sample' ${hashes.map((hash) => `'${hash}'`).join(' ')}`,
    "style-src 'self'",
    "connect-src 'self'", // the challenges of passkeys
    "img-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join(';')

/** Returns the headers of every response, whatever the issuer. */
export const headersOfEvery = () => ({
  'Content-Security-Policy': contentSecurityPolicy(scripts.map(integrityOf)),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'same-origin', // with no-referrer, browsers send our own forms with `Origin: null`
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
})

/** Sets the security headers of every response. */
export function securityHeaders({ isSecure }: { isSecure: boolean }): Middleware {
  const headers = headersOfEvery()
  return async (ctx, next) => {
    ctx.set(headers)
    if (isSecure) ctx.set('Strict-Transport-Security', 'max-age=63072000; includeSubDomains')
    await next()
    // Forbids proxies to rewrite pages: one that hides email addresses, for example, would break them (RFC 9111
    // §5.2.2.6).
    if (ctx.response.is('html')) ctx.set('Cache-Control', 'no-store, no-transform')
  }
}

import Router from '@koa/router'

/** Serves the files that tell browsers and password managers about the passkeys of this server. */
export function passkeyRoutes({
  issuer,
  relatedOrigins,
}: {
  issuer: string
  relatedOrigins: readonly string[]
}): Router {
  const router = new Router()
  // W3C, A Well-Known URL for Relying Party Passkey Endpoints §3
  router.get('/.well-known/passkey-endpoints', (ctx) => {
    ctx.body = { enroll: `${issuer}/account/passkeys/add`, manage: `${issuer}/account/security` }
  })
  // WebAuthn Level 3 §5.11: the other origins that may use the passkeys of this host.
  router.get('/.well-known/webauthn', (ctx, next) => {
    if (relatedOrigins.length === 0) return next()
    ctx.body = { origins: relatedOrigins }
    return undefined
  })
  return router
}

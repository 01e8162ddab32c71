import type Provider from 'oidc-provider'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'

/**
 * Rejects introspection by clients that authenticate with `none`: anybody can name one, and the endpoint MUST require
 * authorization (RFC 7662 §2.1). The engine answers them, so its whole answer is replaced and gives nothing away.
 */
export function refusePublicIntrospection(provider: Provider): void {
  provider.use(async (ctx, next) => {
    await next()
    const { oidc } = ctx as Partial<KoaContextWithOIDC>
    if ((oidc as { route?: string } | undefined)?.route !== 'introspection') return
    if (oidc?.client?.clientAuthMethod !== 'none') return
    const { statusCode, error } = new errors.InvalidClientAuth('a public client may not introspect')
    ctx.status = statusCode
    ctx.set('WWW-Authenticate', `Basic realm="${provider.issuer}"`) // RFC 9110 §15.5.2
    ctx.type = 'json'
    ctx.body = { error, error_description: 'client authentication is required' }
  })
}

import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { sourceOf } from '../request/source.ts'
import { claimsByScope } from '../scopes.ts'

type IdToken = {
  client?: Record<string, unknown>
  ctx?: KoaContextWithOIDC
  mask?: Record<string, unknown>
  issue(options?: { use?: string }): Promise<string>
}

// Nobody has to ask what a sign-in was (OpenID Connect Core §2).
const aboutSignIn = { acr: null, amr: null, auth_time: null }

/**
 * Adds to every ID token how and when the person signed in, and to those of clients that are registered with
 * `id_token_claims` what these name. Where an access token is issued, OpenID Connect Core §5.4 leaves the claims of a scope
 * to userinfo, and not every program asks there.
 *
 * A client learns nothing by it that userinfo would not tell: the claim's scope must be requested and consented to.
 */
export function addIdTokenClaims(provider: Provider): void {
  const { prototype } = (provider as unknown as { IdToken: { prototype: IdToken } }).IdToken
  const issue = prototype.issue
  prototype.issue = function (this: IdToken, options) {
    if (options?.use === 'idtoken') this.mask = { ...aboutSignIn, ...this.mask }
    const wanted = this.client?.['id_token_claims']
    if (options?.use === 'idtoken' && Array.isArray(wanted) && this.ctx) {
      const granted = grantedClaims(this.ctx)
      const added = wanted.filter((name) => granted.has(name)).map((name) => [name, null] as const)
      this.mask = { ...Object.fromEntries(added), ...this.mask }
    }
    return issue.call(this, options)
  }
}

/**
 * Returns the claims of the scopes that this request, or the authorization request before it, asks for and that are
 * consented to.
 */
function grantedClaims(ctx: KoaContextWithOIDC): Set<string> {
  const { oidc } = ctx
  const source = sourceOf(ctx)
  // A refresh may be for fewer scopes than the login (RFC 6749 §6).
  const isNarrowed = source !== undefined && oidc.params?.['scope'] !== undefined
  const asked = source && !isNarrowed ? source.scopes : oidc.requestParamScopes
  const scopes = oidc.entities.Grant?.getOIDCScopeFiltered(asked).split(' ') ?? []
  return new Set(scopes.flatMap((scope) => claimsByScope[scope] ?? []))
}

import { decodeJwt } from 'jose'
import type Provider from 'oidc-provider'

type Token = { kind: string; jti: string; remainingTTL: number; adapter: Adapter; [member: string]: unknown }
type Adapter = { upsert(id: string, payload: object, expiresIn: number): Promise<unknown> }
type Model = {
  IN_PAYLOAD: string[]
  prototype: { save(this: Token): Promise<string> }
  find(value: string, options?: object): Promise<unknown>
}
type Context = { route?: string; params?: Record<string, unknown>; entity(key: string, value: unknown): void }

/**
 * Lets an API introspect JWT access tokens, as it does opaque ones (RFC 7662 §2). The engine does not keep them, and answers
 * anything that is shaped like a JWT with an error, so that anybody could set off the alarms of an API: what is not a token
 * of this server is inactive (§2.2).
 *
 * What a JWT stands for is kept under the JWT itself, so the rest goes as with an opaque token: what revokes one revokes the
 * other. An API that verifies JWTs by the published keys alone does not hear of it.
 */
export function introspectJwts(provider: Provider): void {
  for (const model of [provider.AccessToken, provider.ClientCredentials] as unknown as Model[]) keepJwts(model)

  // At userinfo, which some APIs' tokens open as well. At introspection the engine is given what it is kept under.
  const accessTokens = provider.AccessToken as unknown as Model
  const find = accessTokens.find.bind(accessTokens)
  accessTokens.find = (value, options) => find(isStructured(value) ? handleOf(value) : value, options)

  // The engine refuses structured tokens once the client is known, and looks tokens up by what is in `params` after that.
  const context = provider.OIDCContext.prototype as unknown as Context
  const assign = context.entity
  context.entity = function (this: Context, key, value) {
    assign.call(this, key, value)
    const token = this.params?.['token']
    if (key !== 'Client' || this.route !== 'introspection' || typeof token !== 'string') return
    if (isStructured(token)) Object.assign(this.params ?? {}, { token: handleOf(token) })
  }
}

function keepJwts({ IN_PAYLOAD, prototype }: Model): void {
  const issue = prototype.save
  prototype.save = async function (this: Token) {
    const value = await issue.call(this)
    if (!isStructured(value)) return value
    const { iat, exp } = decodeJwt(value)
    const members = IN_PAYLOAD.filter((name) => this[name] !== undefined).map((name) => [name, this[name]])
    await this.adapter.upsert(handleOf(value), { ...Object.fromEntries(members), iat, exp }, this.remainingTTL)
    return value
  }
}

const prefix = 'jwt:'

/** Opaque tokens have no dot. */
const isStructured = (token: string) => token.includes('.') && !token.startsWith(prefix)
/** What a JWT is kept under. It is no JWT to the engine. */
const handleOf = (token: string) => prefix + token

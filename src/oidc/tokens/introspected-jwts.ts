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
 * Lets an API introspect JWT access tokens as it does opaque ones (RFC 7662 §2). The engine does not keep them, and
 * answers anything that is shaped like a JWT with an error, so that anybody could set off the alarms of an API. Here a
 * value that is not a token of this server is inactive (§2.2).
 *
 * The facts of a JWT are stored under the JWT itself, so everything else works as with an opaque token: whatever
 * revokes one revokes the other. An API that verifies JWTs by the published keys alone does not learn of it.
 */
export function introspectJwts(provider: Provider): void {
  for (const model of [provider.AccessToken, provider.ClientCredentials] as unknown as Model[]) keepJwts(model)

  // For userinfo, which the tokens of some APIs open too. At introspection, the engine receives the key of the stored
  // token.
  const accessTokens = provider.AccessToken as unknown as Model
  const find = accessTokens.find.bind(accessTokens)
  accessTokens.find = (value, options) => find(isStructured(value) ? handleOf(value) : value, options)

  // The engine rejects JWTs after it knows the client, and then looks up the `token` in `params`. So it is replaced
  // there when the client becomes known.
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

/** Returns whether a token is a JWT. Opaque tokens have no dot. */
const isStructured = (token: string) => token.includes('.') && !token.startsWith(prefix)
/** Returns the key that a JWT is stored under, which the engine does not take for a JWT. */
const handleOf = (token: string) => prefix + token

import Provider, { type Grant } from 'oidc-provider'
import type { AccessTokenModel } from '../../stores/protocol/models.ts'
import { scopesOfUserinfo } from '../scopes.ts'
import {
  delegatedScopes,
  excludesResource,
  machineScopes,
  mayHaveClaim,
  oidcScopes,
  type Registered,
} from './client-scopes.ts'
import type { ResourceServers } from './resource-servers.ts'

type Token = {
  clientId?: string
  grantId?: string
  aud?: string | string[]
  scope?: string | undefined
  scopes: Set<string>
  iat: number
}
type Permissions = { openid?: { scope?: string; claims?: string[] }; resources?: Record<string, string> }
type Find<Found> = (value: string, options?: object) => Promise<Found | undefined>
type Model<Found> = { find: Find<Found> }
/**
 * The models whose scopes are narrowed whenever one is found: tokens that APIs accept, and the token that brings more
 * of them.
 */
type Narrowed = AccessTokenModel | 'RefreshToken'

/**
 * Narrows consents and tokens, whenever they are used, to what is allowed at that time. The scopes that they were
 * created with are an upper bound. Each time the engine finds one, it keeps only the scopes that the client is still
 * registered for, that the API still has, and, in a token, that the person still consents to. A token with nothing left
 * is not found.
 *
 * The engine compares scopes only once, at the first request. Refresh, userinfo and introspection all pass through
 * here.
 */
export function narrowWhenUsed(provider: Provider, { find: findServer }: ResourceServers): void {
  const models = provider as unknown as Record<Narrowed, Model<Token>>
  const grants = provider.Grant as unknown as Model<Grant>

  async function narrowGrant(grant: Grant): Promise<Grant> {
    const client = await clientOf(grant.clientId)
    if (!client) return grant
    const { openid, resources } = grant as Permissions
    // The found payload is kept for the request, so it is not changed in place.
    if (openid) {
      const scope = oidcScopes(client, words(openid.scope)).join(' ')
      const claims = openid.claims?.filter((name) => mayHaveClaim(client, name))
      Object.assign(grant, { openid: { ...openid, scope, ...(claims && { claims }) } })
    }
    if (!resources) return grant
    const left = await Promise.all(
      Object.entries(resources).map(async ([identifier, scope]) => {
        const server = excludesResource(client, identifier) ? undefined : await findServer(identifier)
        const offered = server ? delegatedScopes(client, server) : []
        const left = words(scope).filter((name) => offered.includes(name))
        const ofPeople = server?.servesUserinfo && left.length > 0 ? words(grant.getOIDCScopeFiltered(userinfo)) : []
        return [identifier, [...left, ...ofPeople].join(' ')] as const
      }),
    )
    return Object.assign(grant, { resources: Object.fromEntries(left.filter(([, scope]) => scope !== '')) })
  }

  async function narrowAccessToken(token: Token): Promise<Token | undefined> {
    const grant = await grantOf(token)
    if (!grant) return token // which the engine rejects
    if (token.aud === undefined) return cut(token, grant.getOIDCScopeFiltered(token.scopes))
    if (!(await isForCurrentApi(token))) return undefined
    const left = cut(token, grant.getResourceScopeFiltered(String(token.aud), token.scopes))
    const opensUserinfo = routeOf() === 'userinfo' && (await findServer(String(token.aud)))?.servesUserinfo
    return left && opensUserinfo ? Object.assign(left, { aud: undefined }) : left
  }

  async function narrowClientCredentials(token: Token): Promise<Token | undefined> {
    const client = await clientOf(token.clientId)
    if (!client) return undefined
    if (token.aud === undefined) return cut(token, oidcScopes(client, token.scopes).join(' '))
    const server = (await isForCurrentApi(token)) ? await findServer(String(token.aud)) : undefined
    const registered = server ? machineScopes(client, server) : []
    const left = registered.filter((name) => token.scopes.has(name))
    return left.length > 0 ? cut(token, left.join(' ')) : undefined // also one that never had any
  }

  async function narrowRefreshToken(token: Token): Promise<Token | undefined> {
    const grant = await grantOf(token)
    if (!grant) return token
    // It was issued for `offline_access`, and ends with it (OpenID Connect Core §11).
    if (!words(grant.getOIDCScope()).includes('offline_access')) return undefined
    // Its successor takes over its scope, and must not lose what may be allowed again.
    if (routeOf() === 'token') return token
    const { resources = {} } = grant as Permissions
    const left = new Set([grant.getOIDCScope(), ...Object.values(resources)].flatMap(words))
    return cut(token, [...token.scopes].filter((name) => left.has(name)).join(' '))
  }

  /** Returns whether a token was issued for the API that has its audience now, rather than for a deleted one. */
  async function isForCurrentApi({ aud, iat }: Token): Promise<boolean> {
    const server = await findServer(String(aud))
    return server !== undefined && iat >= Math.floor((server.createdAtMs ?? 0) / 1000)
  }

  async function clientOf(id: string | undefined): Promise<Registered | undefined> {
    const asking = Provider.ctx?.oidc?.client
    if (asking && asking.clientId === id) return asking
    return id === undefined ? undefined : provider.Client.find(id)
  }

  const grantOf = ({ grantId }: Token) => grants.find(String(grantId), { ignoreExpiration: true })

  const narrowed: Record<Narrowed, (token: Token) => Promise<Token | undefined>> = {
    AccessToken: narrowAccessToken,
    ClientCredentials: narrowClientCredentials,
    RefreshToken: narrowRefreshToken,
  }
  narrow(grants, narrowGrant)
  for (const [model, cutTo] of Object.entries(narrowed)) narrow(models[model as Narrowed], unlessRevoked(cutTo))
}

function narrow<Found>(model: Model<Found>, cutTo: (found: Found) => Promise<Found | undefined>): void {
  const findAsStored = model.find.bind(model)
  model.find = async (value, options) => {
    const found = await findAsStored(value, options)
    return found && cutTo(found)
  }
}

/**
 * Leaves a token as it is when it is to be revoked, even with nothing left of it: otherwise it would come back with its
 * scopes (RFC 7009 §2).
 */
const unlessRevoked =
  (cutTo: (token: Token) => Promise<Token | undefined>) =>
  async (token: Token): Promise<Token | undefined> =>
    routeOf() === 'revocation' ? token : cutTo(token)

/** Returns a token with this scope; `undefined` if it had a scope before and nothing is left of it. */
function cut(token: Token, scope: string): Token | undefined {
  if (token.scope && !scope) return undefined
  return Object.assign(token, { scope: scope || undefined })
}

const routeOf = () => (Provider.ctx?.oidc as { route?: string } | undefined)?.route
const userinfo = new Set(scopesOfUserinfo)
const words = (scope: string | undefined) => scope?.split(' ').filter(Boolean) ?? []

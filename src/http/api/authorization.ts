import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { sha256 } from '../../crypto/digests.ts'
import { type AdminScope, adminResource, metadataPath } from '../../oidc/admin-resource.ts'
import { verifiedAlgorithms } from '../../oidc/features.ts'
import { type Storage, withEngineErrors } from '../../oidc/request/storage.ts'
import { createChallenges, type Problem as Reason } from '../../resource-server/challenges.ts'
import type { Found } from '../../resource-server/claims.ts'
import { read } from '../../resource-server/credentials.ts'
import { type Flaw, flaws } from '../../resource-server/flaws.ts'
import { createVerifier } from '../../resource-server/verifier.ts'
import * as replays from '../../stores/protocol/replays.ts'
import { Problem, type ProblemKind } from './problems.ts'

/** Authorizes a request by its access token for the admin API, and says which client it is from and what it may do. */
export type Authorize = (ctx: Context, scope: AdminScope) => Promise<{ clientId: string; scopes: string[] }>

/** The kind of problem for each error of a token. */
const kinds = {
  invalid_request: 'malformed-request',
  invalid_token: 'invalid-token',
  invalid_dpop_proof: 'invalid-proof',
} as const satisfies Record<(typeof flaws)[Flaw][0], ProblemKind>

/**
 * Creates the authorization of the admin API. Its tokens are those of machines: issued by client credentials, for this
 * resource, to a client that an administrator registered for the scope and that still is. The token of a person never
 * authorizes a request, whatever they consented to. Unlike the endpoints of the engine, the admin API has no CORS: no
 * page in a browser should hold such a token.
 */
export function createAuthorize({
  provider,
  storage: { db, clients },
  issuer,
}: {
  provider: Provider
  storage: Storage
  issuer: string
}): Authorize {
  const { identifier } = adminResource(issuer)
  const settings = {
    issuer,
    audience: identifier,
    realm: identifier,
    baseUrl: new URL(issuer),
    isBoundOnly: false,
    proofAlgorithms: verifiedAlgorithms,
    clockToleranceSeconds: 5,
    replayStore: {
      claim: (id: string, expiresAt: number) =>
        replays.redeem(db, sha256(`admin api\0${id}`), new Date(expiresAt * 1_000)),
    },
  }
  const verify = createVerifier(settings, lookUp)
  const challenges = createChallenges(settings, { url: issuer + metadataPath })

  async function lookUp(value: string): Promise<Found | undefined> {
    const token = await withEngineErrors(provider.ClientCredentials.find(value))
    if (!token || ![token.aud].flat().includes(identifier)) return undefined
    const client = await withEngineErrors(clients.find(String(token.clientId)))
    if (!client) return undefined
    const { aud, exp, jkt, 'x5t#S256': certificate } = token
    // A scope that was taken from the client since the token was issued no longer counts.
    const registered = String(client.metadata['scope']).split(' ')
    return {
      aud,
      exp,
      client_id: client.metadata.client_id,
      scope: (token.scope ?? '')
        .split(' ')
        .filter((one) => registered.includes(one))
        .join(' '),
      ...(token.isSenderConstrained() && {
        cnf: { ...(jkt !== undefined && { jkt }), ...(certificate !== undefined && { 'x5t#S256': certificate }) },
      }),
    }
  }

  return async (ctx, scope) => {
    const request = { method: ctx.method, url: ctx.url, headers: { get: (name: string) => ctx.get(name) || null } }
    const credentials = read(request)
    if (!credentials) {
      ctx.set(challenges.unauthenticated().headers)
      throw new Problem('unauthenticated')
    }
    const refuse = (kind: ProblemKind, why: Reason, detail?: string): never => {
      ctx.set(challenges.refused(credentials.scheme, why).headers)
      throw new Problem(kind, detail)
    }

    const { claims, flaw } = await verify(request, credentials)
    if (flaw !== undefined) {
      const [error, sentence] = flaws[flaw]
      // When proof and token are of different keys, the proof is to blame: the client can make another one.
      const about = flaw === 'other-key' ? 'invalid_dpop_proof' : error
      // A token is refused in the same way whether it is unknown, expired or for another API.
      return refuse(kinds[about], { error: about }, flaw === 'unknown' ? undefined : `${sentence}.`)
    }
    const scopes = (claims.scope ?? '').split(' ')
    const isGranted = scopes.includes(scope) || scopes.includes(scope.replace(/:read$/, ''))
    if (!isGranted) {
      return refuse('insufficient-scope', { error: 'insufficient_scope', scope }, `This needs the scope ${scope}.`)
    }
    return { clientId: String(claims.client_id), scopes }
  }
}

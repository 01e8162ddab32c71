import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { type AdminScope, adminResource, metadataPath } from '../../oidc/admin-resource.ts'
import { verifiedAlgorithms } from '../../oidc/features.ts'
import { type Storage, translated } from '../../oidc/request/storage.ts'
import { Problem } from './problems.ts'
import { flawOf } from './proofs.ts'

/** Lets a request through that brings an access token for the admin API, and says whose it is and what it is good for. */
export type Authorize = (ctx: Context, scope: AdminScope) => Promise<{ clientId: string; scopes: string[] }>

type Scheme = (typeof schemes)[number]

const schemes = ['Bearer', 'DPoP'] as const
const accessToken = /^[\w.~+/-]+=*$/ // b64token, RFC 6750 §2.1

// biome-ignore format: it is a table
const errorCodes = {
  unauthenticated:      undefined,             // RFC 6750 §3.1: who brings no token learns no more than how to
  'malformed-request':  'invalid_request',     // RFC 6750 §3.1
  'invalid-token':      'invalid_token',       // RFC 6750 §3.1
  'invalid-proof':      'invalid_dpop_proof',  // RFC 9449 §7.1
  'insufficient-scope': 'insufficient_scope',  // RFC 6750 §3.1
} as const

/**
 * The tokens of the admin API are those of machines: issued by client credentials, for this resource, to a client that
 * an administrator registered for the scope and that still is. A person's token never is one, whatever they consented
 * to. Other than the engine's endpoints, this has no CORS: no page in a browser is meant to have such a token.
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

  function challenge(scheme: Scheme, why: Record<string, string | undefined>): string {
    const algs = scheme === 'DPoP' ? verifiedAlgorithms.join(' ') : undefined // RFC 9449 §7.1
    const parameters = { realm: identifier, resource_metadata: issuer + metadataPath, ...why, algs }
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
    return `${scheme} ${given.map(([name, value]) => `${name}="${value}"`).join(', ')}`
  }

  function refuse(
    ctx: Context,
    kind: keyof typeof errorCodes,
    { scheme, scope, detail }: { scheme?: Scheme; scope?: AdminScope; detail?: string } = {},
  ): never {
    const mayBeAnother = kind !== 'malformed-request' && kind !== 'insufficient-scope'
    const challenges = schemes
      .filter((one) => mayBeAnother || one === scheme)
      .map((one) => challenge(one, one === scheme ? { error: errorCodes[kind], scope } : {}))
    ctx.set('WWW-Authenticate', challenges.join(', '))
    throw new Problem(kind, detail)
  }

  return async (ctx, scope) => {
    const [name = '', value = '', ...rest] = ctx.get('Authorization').split(' ')
    const scheme = schemes.find((one) => one.toLowerCase() === name.toLowerCase())
    if (!scheme) return refuse(ctx, 'unauthenticated')
    // Nowhere else is a token looked for: in a query or a form it would end up in logs (RFC 6750 §5.3).
    if (!accessToken.test(value) || rest.length > 0 || ctx.query['access_token'] !== undefined) {
      const detail = 'The access token has to be well formed, and sent once, in the Authorization header.'
      return refuse(ctx, 'malformed-request', { scheme, detail })
    }

    const token = await translated(provider.ClientCredentials.find(value))
    const isForUs = token !== undefined && [token.aud].flat().includes(identifier)
    const client = isForUs ? await translated(clients.find(String(token.clientId))) : undefined
    if (!token || !client) return refuse(ctx, 'invalid-token', { scheme })

    const { jkt, 'x5t#S256': certificate } = token
    if (scheme === 'Bearer' && token.isSenderConstrained()) {
      // RFC 9449 §7.2: or a stolen one could be used by leaving the proof out.
      return refuse(ctx, 'invalid-token', { scheme, detail: 'The access token is bound to a key, and needs a proof.' })
    }
    if (scheme === 'DPoP') {
      const isBound = jkt !== undefined && certificate === undefined
      if (!isBound) return refuse(ctx, 'invalid-token', { scheme, detail: 'The access token is not bound to a key.' })
      const request = { method: ctx.method, address: issuer + ctx.path, token: value, jkt }
      const detail = await flawOf(db, ctx.get('DPoP'), request)
      if (detail !== undefined) return refuse(ctx, 'invalid-proof', { scheme, detail })
    }

    // What was taken from the client since is not in its tokens any more.
    const registered = client.metadata['scope']
    const scopes = (token.scope ?? '').split(' ').filter((one) => String(registered).split(' ').includes(one))
    const isGranted = scopes.includes(scope) || scopes.includes(scope.replace(/:read$/, ''))
    if (!isGranted)
      return refuse(ctx, 'insufficient-scope', { scheme, scope, detail: `This needs the scope ${scope}.` })
    return { clientId: client.metadata.client_id, scopes }
  }
}

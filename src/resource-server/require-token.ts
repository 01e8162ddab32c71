import { createAuthorizationServer } from './authorization-server.ts'
import { unprovenBy } from './binding.ts'
import { cached } from './cache.ts'
import { createChallenges, problem } from './challenges.ts'
import { type Claims, judge } from './claims.ts'
import { type Credentials, read } from './credentials.ts'
import { unmetBy } from './demands.ts'
import { type AnyRequest, type HttpAnswer, type HttpRequest, withHeaders } from './http.ts'
import { createIntrospection } from './introspection.ts'
import { createJwtLookUp } from './jwt-access-tokens.ts'
import { publishMetadata, type ResourceMetadata } from './metadata.ts'
import { forExpress, forKoa, type Judge, type KoaMiddleware, type NodeMiddleware, responseOf } from './middleware.ts'
import { assertDemands, type Demands, type Options, settle } from './options.ts'

export type Outcome = { token: Claims; refusal?: undefined } | { token?: undefined; refusal: HttpAnswer }

/** Lets requests through that bring a good access token. What a route demands takes the place of the options' own. */
export type Guard = {
  /** For Koa. The claims of the token are in `ctx.state.token`. */
  koa(demands?: Demands): KoaMiddleware
  /** For Express and what is like it. The claims are in `req.token`. */
  express(demands?: Demands): NodeMiddleware
  /** For the standard `Request`: the claims, or the response that refuses it. */
  request(request: Request, demands?: Demands): Promise<Claims | Response>
  /** For everything else: what has a method, an address, and header fields as `Headers` or by name. */
  verify(request: AnyRequest, demands?: Demands): Promise<Outcome>
  metadata: MetadataRoute
}

/** The protected resource metadata, at the one address where they belong (RFC 9728 §3). Other requests go on. */
export type MetadataRoute = {
  document: ResourceMetadata
  koa(): KoaMiddleware
  express(): NodeMiddleware
  request(request: Request): Response | undefined
}

/** Makes the guard of an API. Its routes share one, and with it what is remembered of tokens, keys and proofs. */
export function requireToken(options: Options): Guard {
  const settings = settle(options)
  const server = createAuthorizationServer(settings)
  const lookUp = settings.introspection
    ? cached(createIntrospection(settings, settings.introspection, server), settings.introspection)
    : createJwtLookUp(settings, server)
  const metadata = publishMetadata(settings)
  const challenges = createChallenges(settings, metadata)

  /** The claims of a token that is good for this request, or why it is not. Rejects if there is no finding out. */
  async function examine(request: HttpRequest, { scheme, token }: Credentials, demands: Demands) {
    if (token === undefined) return problem('invalid_request', 'The token has to be well formed and sent once')
    const found = await lookUp(token)
    if (!found) return problem('invalid_token', 'The token is not known, or no longer good')
    const claims = judge(found, settings)
    if (typeof claims === 'string') return problem('invalid_token', claims)
    return (await unprovenBy(request, { scheme, token, claims }, settings)) ?? unmetBy(claims, demands) ?? { claims }
  }

  async function decide(request: HttpRequest, demands: Demands): Promise<Outcome> {
    const credentials = read(request)
    if (!credentials || !challenges.accepts(credentials.scheme)) return { refusal: challenges.unauthenticated() }
    try {
      const result = await examine(request, credentials, demands)
      return 'claims' in result ? { token: result.claims } : { refusal: challenges.refused(credentials.scheme, result) }
    } catch (cause) {
      settings.onUnavailable(
        new Error(`A token of ${settings.issuer} could not be judged: ${reasonOf(cause)}`, { cause }),
      )
      return { refusal: challenges.unavailable() }
    }
  }

  function verifyWith(demands: Demands = {}): (request: HttpRequest) => Promise<Outcome> {
    assertDemands(demands, settings)
    const effective = {
      scopes: demands.scopes ?? settings.demands.scopes,
      maxAgeSeconds: demands.maxAgeSeconds ?? settings.demands.maxAgeSeconds,
      acrValues: demands.acrValues ?? settings.demands.acrValues,
    }
    return (request) => decide(request, effective)
  }

  function judgeWith(demands?: Demands): Judge {
    const verify = verifyWith(demands)
    return async (request) => {
      const { token, refusal } = await verify(request)
      return { token, answer: refusal }
    }
  }

  const judgeMetadata: Judge = (request) => ({ answer: metadata.answer(request) })

  return {
    koa: (demands) => forKoa(judgeWith(demands)),
    express: (demands) => forExpress(judgeWith(demands)),
    async request(request, demands) {
      const { token, refusal } = await verifyWith(demands)(request)
      return token ?? responseOf(refusal)
    },
    verify: async (request, demands) => verifyWith(demands)(withHeaders(request)),
    metadata: {
      document: metadata.document,
      koa: () => forKoa(judgeMetadata),
      express: () => forExpress(judgeMetadata),
      request(request) {
        const answer = metadata.answer(request)
        return answer && responseOf(answer)
      },
    },
  }
}

/** What went wrong, in words for a log: tokens and secrets are in none of them. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } }
  return [message, cause?.code ?? cause?.message].filter(Boolean).join(': ')
}

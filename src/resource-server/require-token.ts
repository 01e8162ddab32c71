import { createAuthorizationServer } from './authorization-server.ts'
import { cached } from './cache.ts'
import { createChallenges } from './challenges.ts'
import type { Claims } from './claims.ts'
import { read } from './credentials.ts'
import { unmetBy } from './demands.ts'
import { flaws } from './flaws.ts'
import { type AnyRequest, type HttpAnswer, type HttpRequest, withHeaders } from './http.ts'
import { createIntrospection } from './introspection.ts'
import { createJwtLookUp } from './jwt-access-tokens.ts'
import { publishMetadata, type ResourceMetadata } from './metadata.ts'
import { forExpress, forKoa, type Judge, type KoaMiddleware, type NodeMiddleware, responseOf } from './middleware.ts'
import { assertDemands, type Demands, type Options, settle } from './options.ts'
import { createVerifier } from './verifier.ts'

export type Outcome = { token: Claims; refusal?: undefined } | { token?: undefined; refusal: HttpAnswer }

/** Lets requests with a valid access token through. The demands of a route replace those of the options. */
export type Guard = {
  /** For Koa. Puts the claims of the token into `ctx.state.token`. */
  koa(demands?: Demands): KoaMiddleware
  /** For Express and Connect. Puts the claims into `req.token`. */
  express(demands?: Demands): NodeMiddleware
  /** For the standard `Request`. Resolves to the claims, or to the response that refuses the request. */
  request(request: Request, demands?: Demands): Promise<Claims | Response>
  /** For any other request with a method, an address, and header fields as `Headers` or by name. */
  verify(request: AnyRequest, demands?: Demands): Promise<Outcome>
  metadata: MetadataRoute
}

/** The protected resource metadata, at their one address (RFC 9728 §3). Requests for other addresses go on. */
export type MetadataRoute = {
  document: ResourceMetadata
  koa(): KoaMiddleware
  express(): NodeMiddleware
  request(request: Request): Response | undefined
}

/** Creates the guard of an API. All routes share it, so that they share the remembered tokens, keys and proofs. */
export function requireToken(options: Options): Guard {
  const settings = settle(options)
  const server = createAuthorizationServer(settings)
  const lookUp = settings.introspection
    ? cached(createIntrospection(settings, settings.introspection, server), settings.introspection)
    : createJwtLookUp(settings, server)
  const metadata = publishMetadata(settings)
  const challenges = createChallenges(settings, metadata)
  const verifyToken = createVerifier(settings, lookUp)

  async function decide(request: HttpRequest, demands: Demands): Promise<Outcome> {
    const credentials = read(request)
    if (!credentials || !challenges.accepts(credentials.scheme)) return { refusal: challenges.unauthenticated() }
    try {
      const { claims, flaw } = await verifyToken(request, credentials)
      if (flaw !== undefined) {
        const [error, error_description] = flaws[flaw]
        return { refusal: challenges.refused(credentials.scheme, { error, error_description }) }
      }
      const unmet = unmetBy(claims, demands)
      return unmet ? { refusal: challenges.refused(credentials.scheme, unmet) } : { token: claims }
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

/** Describes an error for a log. No message of these contains a token or a secret. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } }
  return [message, cause?.code ?? cause?.message].filter(Boolean).join(': ')
}

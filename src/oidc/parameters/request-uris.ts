import { decodeJwt, decodeProtectedHeader } from 'jose'
import Provider, { errors } from 'oidc-provider'
import { networksOf, widestNetworkOf } from '../../authentication/networks.ts'
import { keyedHash } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import type { Secret } from '../../secret.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'
import type { Client } from '../engine.ts'
import { withEngineErrors } from '../request/storage.ts'
import { current } from '../request/work.ts'
import { TooManyRequests } from '../too-many-requests.ts'
import { parameterBounds } from './bounds.ts'

type Asked = { route?: string; client?: Client; params?: Record<string, unknown> }
type Fetching = { db: Db; throttleKey: Secret<Buffer>; fetch: typeof globalThis.fetch }

const pushed = 'urn:ietf:params:oauth:request_uri:' // RFC 9126 §2.2
const windowSeconds = 3_600
// Anybody can cause a fetch, by opening an address. `reserved` is kept for networks that have not caused one yet.
const limits = { perNetwork: 60, perEverybody: 600, reserved: 120 } // of each client

/**
 * Accepts request objects by reference (OpenID Connect Core §6.2, RFC 9101 §5.2), from clients that registered the
 * addresses of theirs. The engine accepts them by value alone. So the object is fetched when the engine has found the
 * client, and becomes the `request` that the engine reads next: it checks the signature and the contents as usual.
 */
export function acceptRequestUris(provider: Provider, fetching: Fetching): void {
  const { Client } = provider
  const find = Client.find.bind(Client)
  Client.find = async (id: string) => {
    const client = await find(id)
    const asked = Provider.ctx?.oidc as Asked | undefined
    if (client && asked?.route === 'authorization' && asked.client === undefined && asked.params) {
      await dereference(asked.params, client, fetching)
    }
    return client
  }
  advertise(provider)
}

async function dereference(params: Record<string, unknown>, client: Client, fetching: Fetching): Promise<void> {
  const { request_uri: uri, request } = params
  if (typeof uri !== 'string' || request !== undefined || uri.startsWith(pushed)) return // left to the engine
  if (client.requirePushedAuthorizationRequests) return
  params['request_uri'] = undefined // so that it is not fetched again while the error is reported
  const registered = [client['request_uris'] ?? []].flat().map(withoutFragment)
  if (!registered.includes(withoutFragment(uri))) {
    throw new errors.InvalidRequestUri('request_uri is not among the request_uris that the client is registered with')
  }
  const seconds = await withEngineErrors(count(client.clientId, fetching))
  if (seconds > 0) throw new TooManyRequests('request objects of this client were fetched', seconds)
  const object = await read(withoutFragment(uri), fetching)
  const claims = unsignedClaims(object)
  if (claims) unpack(claims, params, client)
  else params['request'] = object
}

/** Returns the claims of an unsigned request object (RFC 7519 §6); `undefined` for any other. */
function unsignedClaims(object: string): Record<string, unknown> | undefined {
  try {
    const { alg } = decodeProtectedHeader(object)
    return alg === 'none' && object.endsWith('.') ? decodeJwt(object) : undefined
  } catch {
    return undefined // the engine says what is wrong with it
  }
}

/**
 * Replaces the parameters of a request by those of an unsigned request object (OpenID Connect Core §6.1). The
 * registered address and TLS show whose object it is, so none is accepted by value. The engine checks the result as it
 * checks a request without a request object.
 */
function unpack(claims: Record<string, unknown>, params: Record<string, unknown>, client: Client): void {
  const refuse = (why: string) => new errors.InvalidRequestObject(why)
  const mustSign = client['requireSignedRequestObject'] || client['fapi_profile'] !== undefined
  if (mustSign || client['requestObjectSigningAlg'] !== undefined) throw refuse('the request object must be signed')
  for (const name of ['client_id', 'response_type']) {
    const isSame = claims[name] === undefined || claims[name] === params[name]
    if (!isSame) throw refuse(`${name} of the request object must equal that of the request`) // §6.1, §6.3.3
  }
  if (Number(claims['exp'] ?? Infinity) * 1000 <= Date.now()) throw refuse('the request object has expired')
  if (claims['iss'] !== undefined && claims['iss'] !== client.clientId) throw refuse('iss must be the client_id')
  const ofParameters = Object.entries(claims).filter(([name]) => name in params && !objectMembers.includes(name))
  for (const [name, value] of ofParameters) {
    params[name] = typeof value === 'string' ? value : Array.isArray(value) ? value.map(String) : JSON.stringify(value)
  }
}

const objectMembers = [
  'client_id',
  'request',
  'request_uri',
  'registration',
  'client_assertion',
  'client_assertion_type',
]

async function read(url: string, { fetch: get }: Fetching): Promise<string> {
  const headers = { accept: 'application/oauth-authz-req+jwt, application/jwt;q=0.9, */*;q=0.1' }
  // The log has the reason. The client that named the address does not learn what is there.
  const response = await get(url, { headers, redirect: 'manual' }).catch(() => undefined)
  if (response?.status !== 200) throw new errors.InvalidRequestUri('request_uri could not be fetched')
  const body = (await response.text()).trim()
  if (Buffer.byteLength(body) > parameterBounds.request) {
    throw new errors.InvalidRequestUri(
      `the request object at request_uri is longer than ${parameterBounds.request} bytes`,
    )
  }
  if (body === '') throw new errors.InvalidRequestUri('the request object at request_uri is empty')
  return body
}

/** Counts a fetch of a request object, and returns the seconds to wait before it is allowed; 0 if it is allowed now. */
async function count(clientId: string, { db, throttleKey }: Fetching): Promise<number> {
  const address = current()?.address ?? ''
  const keyHash = (...about: string[]) => keyedHash(throttleKey, ['request object', clientId, ...about].join('\0'))
  const ofNetworks = networksOf(address).map(({ network, allowance }) => ({
    keyHash: keyHash('of', network),
    most: limits.perNetwork * allowance,
  }))
  const seconds = await rateLimits.take(db, { limits: ofNetworks, windowSeconds })
  if (seconds > 0) return seconds
  return rateLimits.takeShared(db, {
    own: keyHash('asked by', widestNetworkOf(address)),
    everyone: { keyHash: keyHash('everyone'), most: limits.perEverybody, reserved: limits.reserved },
    windowSeconds,
  })
}

/**
 * Removes the fragment, a digest of the object for servers that keep it (OpenID Connect Core §6.2). This one does not.
 */
const withoutFragment = (uri: unknown) => String(uri).split('#', 1)[0] ?? ''

function advertise(provider: Provider): void {
  provider.use(async (ctx, next) => {
    await next()
    if (!ctx.path.startsWith('/.well-known/') || !(ctx.body as { issuer?: string } | undefined)?.issuer) return
    Object.assign(ctx.body as object, { request_uri_parameter_supported: true, require_request_uri_registration: true })
  })
}

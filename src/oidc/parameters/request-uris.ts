import { decodeJwt, decodeProtectedHeader } from 'jose'
import Provider, { errors } from 'oidc-provider'
import { networksOf, widestNetworkOf } from '../../authentication/networks.ts'
import { keyedHash } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import type { Secret } from '../../secret.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'
import type { Client } from '../engine.ts'
import { translated } from '../request/storage.ts'
import { current } from '../request/work.ts'
import { TooMany } from '../too-many.ts'
import { parameterBounds } from './bounds.ts'

type Asked = { route?: string; client?: Client; params?: Record<string, unknown> }
type Fetching = { db: Db; throttleKey: Secret<Buffer>; fetch: typeof globalThis.fetch }

const pushed = 'urn:ietf:params:oauth:request_uri:' // RFC 9126 §2.2
const windowSeconds = 3_600
// Anybody can have a request object fetched, by opening an address. A part is for networks that asked for none yet.
const limits = { perNetwork: 60, perEverybody: 600, reserved: 120 } // of each client

/**
 * Accepts request objects by reference (OpenID Connect Core §6.2, RFC 9101 §5.2), of clients that registered where theirs
 * are. The engine speaks of those by value alone. So one is fetched when the engine has found the client that asks, and is
 * what the engine reads in `request` from there on: that it is signed is checked as ever, and so is all it says.
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
  if (typeof uri !== 'string' || request !== undefined || uri.startsWith(pushed)) return // which are the engine's
  if (client.requirePushedAuthorizationRequests) return
  params['request_uri'] = undefined // so that it is not fetched again to tell the client what went wrong
  const registered = [client['request_uris'] ?? []].flat().map(withoutFragment)
  if (!registered.includes(withoutFragment(uri))) {
    throw new errors.InvalidRequestUri('request_uri is not among the request_uris that the client is registered with')
  }
  const seconds = await translated(count(client.clientId, fetching))
  if (seconds > 0) throw new TooMany('request objects of this client were fetched', seconds)
  const object = await read(withoutFragment(uri), fetching)
  const claims = unsignedClaims(object)
  if (claims) unpack(claims, params, client)
  else params['request'] = object
}

/** What a request object says that is not signed (RFC 7519 §6), or `undefined` of any other. */
function unsignedClaims(object: string): Record<string, unknown> | undefined {
  try {
    const { alg } = decodeProtectedHeader(object)
    return alg === 'none' && object.endsWith('.') ? decodeJwt(object) : undefined
  } catch {
    return undefined // the engine says what is wrong with it
  }
}

/**
 * Takes the parameters of an unsigned request object in place of those of the request (OpenID Connect Core §6.1). Whom it is of is
 * known by the address that the client registered and TLS, so by value none is accepted. The engine checks it as it does a
 * request without a request object.
 */
function unpack(claims: Record<string, unknown>, params: Record<string, unknown>, client: Client): void {
  const refuse = (why: string) => new errors.InvalidRequestObject(why)
  const isHeldToSign = client['requireSignedRequestObject'] || client['fapi_profile'] !== undefined
  if (isHeldToSign || client['requestObjectSigningAlg'] !== undefined) throw refuse('the request object must be signed')
  for (const name of ['client_id', 'response_type']) {
    const isSame = claims[name] === undefined || claims[name] === params[name]
    if (!isSame) throw refuse(`${name} of the request object must be the one of the request`) // §6.1, §6.3.3
  }
  if (Number(claims['exp'] ?? Infinity) * 1000 <= Date.now()) throw refuse('the request object has expired')
  if (claims['iss'] !== undefined && claims['iss'] !== client.clientId) throw refuse('iss must be the client_id')
  const ofParameters = Object.entries(claims).filter(([name]) => name in params && !isOfObject.includes(name))
  for (const [name, value] of ofParameters) {
    params[name] = typeof value === 'string' ? value : Array.isArray(value) ? value.map(String) : JSON.stringify(value)
  }
}

const isOfObject = ['client_id', 'request', 'request_uri', 'registration', 'client_assertion', 'client_assertion_type']

async function read(url: string, { fetch: get }: Fetching): Promise<string> {
  const headers = { accept: 'application/oauth-authz-req+jwt, application/jwt;q=0.9, */*;q=0.1' }
  // Why it failed is in the log: who named the address is not told what is there.
  const response = await get(url, { headers, redirect: 'manual' }).catch(() => undefined)
  if (response?.status !== 200) throw new errors.InvalidRequestUri('request_uri could not be fetched')
  const body = (await response.text()).trim()
  if (Buffer.byteLength(body) > parameterBounds.request) {
    throw new errors.InvalidRequestUri(`what is at request_uri is longer than ${parameterBounds.request} bytes`)
  }
  if (body === '') throw new errors.InvalidRequestUri('there is nothing at request_uri')
  return body
}

/** Counts a request object that is fetched, and says how many seconds there are to wait. */
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

/** The fragment is a digest of what is there, for servers that keep it (OpenID Connect Core §6.2). This one does not. */
const withoutFragment = (uri: unknown) => String(uri).split('#', 1)[0] ?? ''

function advertise(provider: Provider): void {
  provider.use(async (ctx, next) => {
    await next()
    if (!ctx.path.startsWith('/.well-known/') || !(ctx.body as { issuer?: string } | undefined)?.issuer) return
    Object.assign(ctx.body as object, { request_uri_parameter_supported: true, require_request_uri_registration: true })
  })
}

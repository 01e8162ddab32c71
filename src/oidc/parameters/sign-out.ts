import { decodeJwt, type JWTPayload } from 'jose'
import type Provider from 'oidc-provider'
import { type Client, errors, type Session } from 'oidc-provider'
import type { PairwiseSubject } from '../pairwise.ts'
import { assertBounded } from './bounds.ts'

const { InvalidClient, InvalidRequest, OIDCProviderError } = errors

/** The parameters of a request to sign out. One that is repeated by mistake is an array. */
export type SignOutParameters = Record<string, string | string[] | undefined>

/** A request to sign out (RP-Initiated Logout 1.0 §2), as far as it can be followed. */
export type SignOutRequest = {
  client: Client | undefined
  /** The claims of the `id_token_hint`, which was verified. */
  hint: JWTPayload | undefined
  /** The address that the person returns to, with the `state`. */
  returnTo: string | undefined
  /** The first thing that is wrong with the request. It then has neither a hint nor an address to return to. */
  flaw: errors.OIDCProviderError | undefined
}

/**
 * Reads a request to sign out. Even with an invalid one the person wants to sign out: only the redirect is dropped
 * (RP-Initiated Logout 1.0 §4), which is all that could do harm.
 */
export async function readSignOut(provider: Provider, given: SignOutParameters): Promise<SignOutRequest> {
  const request: SignOutRequest = { client: undefined, hint: undefined, returnTo: undefined, flaw: undefined }
  try {
    const { id_token_hint: hint, client_id: clientId, ...rest } = single(given)
    if (hint) Object.assign(request, await readHint(provider, hint, clientId))
    else if (clientId) request.client = await getClient(provider, clientId)
    request.returnTo = returnAddress(request.client, rest)
  } catch (error) {
    if (!(error instanceof OIDCProviderError) || error.statusCode >= 500) throw error
    Object.assign(request, { hint: undefined, returnTo: undefined, flaw: error })
  }
  return request
}

function single(given: SignOutParameters): Record<string, string | undefined> {
  for (const [name, value] of Object.entries(given)) {
    if (Array.isArray(value)) throw new InvalidRequest(`'${name}' parameter must not be provided twice`)
  }
  return given as Record<string, string | undefined>
}

async function getClient(provider: Provider, id: string): Promise<Client> {
  const client = await provider.Client.find(id)
  if (!client) throw new InvalidClient('client is invalid', 'client not found')
  return client
}

/** Verifies the `id_token_hint`. An expired ID token still identifies the person (§2). */
async function readHint(provider: Provider, hint: string, clientId: string | undefined) {
  const { aud } = claimsIn(hint)
  if (typeof aud !== 'string') throw new InvalidRequest('id_token_hint has no single audience')
  if (clientId && clientId !== aud) throw new InvalidRequest('client_id does not match the provided id_token_hint')
  const client = await getClient(provider, aud)
  try {
    const { payload } = await provider.IdToken.validate(hint, client)
    return { client, hint: payload as JWTPayload }
  } catch (cause) {
    if (cause instanceof OIDCProviderError) throw cause
    throw Object.assign(new InvalidRequest('could not validate id_token_hint'), { cause })
  }
}

function claimsIn(hint: string): JWTPayload {
  try {
    return decodeJwt(hint)
  } catch (cause) {
    throw Object.assign(new InvalidRequest('could not decode id_token_hint'), { cause })
  }
}

function returnAddress(
  client: Client | undefined,
  { post_logout_redirect_uri: uri, state }: Record<string, string | undefined>,
): string | undefined {
  assertBounded({ state })
  if (!uri) return undefined
  if (!client) throw new InvalidRequest('post_logout_redirect_uri needs an id_token_hint or a client_id')
  if (!client.postLogoutRedirectUriAllowed(uri)) throw new InvalidRequest('post_logout_redirect_uri not registered')
  if (!state) return uri
  const url = new URL(uri)
  url.searchParams.set('state', state)
  return url.href
}

/** The part of a session that an `id_token_hint` can name. */
export type SignedInSession = Pick<Session, 'accountId' | 'loginTs' | 'authorizations'>

/**
 * Returns whether the `id_token_hint` was issued to the signed-in person in this session. That person then signed in to
 * the app that sends the request, and need not confirm the sign-out (§2).
 */
export async function isOfSession(
  { client, hint }: SignOutRequest,
  { accountId, loginTs, authorizations }: SignedInSession,
  subjectOf: PairwiseSubject,
): Promise<boolean> {
  const authorization = client && authorizations?.[client.clientId]
  if (!hint || !accountId || !loginTs || !authorization) return false
  const sub = client.subjectType === 'pairwise' ? await subjectOf(accountId, client) : accountId
  const isOfThisSid = hint['sid'] === undefined || hint['sid'] === authorization.sid
  return hint.sub === sub && isOfThisSid && Number(hint.iat) >= loginTs
}

import type { IncomingMessage } from 'node:http'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Db } from '../../database/schema.ts'
import { withoutExcerpt } from '../../log/index.ts'
import type { FoundArtifact } from '../../stores/protocol/artifacts.ts'
import { factsOf, isArtifactModel } from '../../stores/protocol/models.ts'
import { ago, explainArtifact, explainClient, explainSecret, presentedBy } from './looked-up.ts'
import { meanings } from './meanings.ts'
import type { Reason } from './reason.ts'
import { update } from './remedies.ts'
import { nearest, shownUri } from './uris.ts'

/** A refused request, as far as it was read. `source` is the code or token that it presented, if that was found. */
export type Refused = { req: IncomingMessage; oidc?: Asked; source?: FoundArtifact | undefined }
/** The client of a request, and its parameters. */
export type Asked = Partial<Pick<KoaContextWithOIDC['oidc'], 'client' | 'params' | 'body'>>

type Facts = { db: Db; client: KoaContextWithOIDC['oidc']['client']; params: Record<string, unknown>; refused: Refused }
type Explain = (facts: Facts, text: string) => Promise<Partial<Reason> | undefined> | Partial<Reason> | undefined

const longest = 300 // characters of what a client sent
const longestRemedy = 2_000

/** The engine's own error texts, each with the function that explains it. The first that matches counts. */
const explanations: [RegExp, Explain][] = [
  [/^client not found$/, ({ db, params, refused }) => explainClient(db, clientIdOf(params, refused))],
  [/^invalid secret provided$/, ({ db, client }) => (client ? explainSecret(db, client.clientId) : undefined)],
  [/^the provided authentication mechanism does not match/, explainMethod],
  [/redirect_uri mismatch$/, explainOtherRedirectUri],
  [/^redirect_uri did not match/, (facts) => explainUri(facts, 'redirect_uri', facts.client?.redirectUris)],
  [
    /^post_logout_redirect_uri not registered/,
    (facts) => explainUri(facts, 'post_logout_redirect_uri', facts.client?.postLogoutRedirectUris),
  ],
  [/^PKCE is required/, explainPkce],
  [/^code_verifier|code_challenge$/, () => ({ parameter: 'code_verifier' })],
  [/grant type is not allowed|:grant-type:|^requested grant type/, explainGrantType],
  [/response_type is not allowed/, (facts) => registered(facts, 'response_type', facts.client?.responseTypes)],
  [/scope/, (facts) => registered(facts, 'scope', facts.client?.scope?.split(' '))],
  [/not found|already|expired|^client mismatch|request_uri is invalid/, explainPresented],
]

/**
 * Explains why a request was refused. It looks up again what the request presented, also if that cannot be used now.
 */
export async function reasonOf(db: Db, { error, refused }: { error: unknown; refused: Refused }): Promise<Reason> {
  const { oidc } = refused
  const params = { ...oidc?.body, ...oidc?.params }
  const client = oidc?.client
  const code = codeOf(error)
  const text = textOf(error)
  const [, explain] = explanations.find(([pattern]) => pattern.test(text)) ?? []
  // A reason is worth a query, but a failed query must not become a second error.
  const found = await Promise.try(async () => explain?.({ db, client, params, refused }, text)).catch(() => undefined)
  return storable({
    error: code,
    ...(client && { clientId: client.clientId, clientName: client.clientName?.slice(0, longest) }),
    reason: text || meanings[code] || 'the request cannot be accepted',
    ...found,
  })
}

/** Removes what PostgreSQL rejects in JSON: U+0000, and half a character, which cutting a text may leave. */
function storable(reason: Reason): Reason {
  const texts = Object.entries(reason).map(([name, text]) => [name, text?.toWellFormed().replaceAll('\0', '\ufffd')])
  return Object.fromEntries(texts) as Reason
}

function codeOf(error: unknown): string {
  if (error instanceof errors.OIDCProviderError) return error.error
  const { status } = error as { status?: number }
  return status === 503 ? 'temporarily_unavailable' : 'invalid_request'
}

/** Returns the engine's most precise text: its internal detail, otherwise the description for the client. */
function textOf(error: unknown): string {
  const { error_detail: detail, error_description: description, scope } = error as Record<string, unknown>
  const names = typeof scope === 'string' && scope !== '' ? `: ${scope}` : ''
  const text = detail ?? (description && `${description}${names}`) ?? (error instanceof Error ? error.message : '')
  return text === codeOf(error) ? '' : withoutExcerpt(String(text)).slice(0, longest)
}

/** Returns the id of the client that a request names. */
function clientIdOf(params: Record<string, unknown>, { req }: Refused): string {
  const basic = /^Basic (\S+)$/i.exec(req.headers.authorization ?? '')?.[1]
  const [id = ''] = basic ? Buffer.from(basic, 'base64').toString().split(':') : []
  return String(params['client_id'] ?? decodeURIComponent(id.replaceAll('+', ' '))).slice(0, longest)
}

/** Explains a wrong authentication method, by the names of OpenID Connect Registration. */
function explainMethod({ client, params, refused: { req } }: Facts): Partial<Reason> | undefined {
  if (!client) return undefined
  const received =
    params['client_assertion'] !== undefined
      ? 'private_key_jwt'
      : params['client_secret'] !== undefined
        ? 'client_secret_post'
        : req.headers.authorization
          ? 'client_secret_basic'
          : 'none'
  return {
    reason: 'the client uses another authentication method than it is registered with',
    parameter: 'token_endpoint_auth_method',
    expected: client.clientAuthMethod,
    received,
    // Without a secret anybody could act as this client.
    ...(received !== 'none' && { remedy: update(client.clientId, 'token-endpoint-auth-method', [received]) }),
  }
}

function explainUri(
  { client, params }: Facts,
  parameter: 'redirect_uri' | 'post_logout_redirect_uri',
  known: readonly string[] = [],
): Partial<Reason> | undefined {
  const value = params[parameter]
  if (!client || typeof value !== 'string') return undefined
  const closest = nearest(known, value)
  const option = `${parameter.replaceAll('_', '-')}s`
  const remedy = update(client.clientId, option, [...known, value])
  // The command contains every address in full, so none of them may contain a secret, and they may not be so many that
  // a refusal fills the table.
  const isShown = shownUri(value) === value && remedy.length <= longestRemedy
  return {
    reason: closest
      ? `${parameter} is not registered: ${closest.difference}`
      : `the client has no ${parameter} registered`,
    parameter,
    expected: closest && shownUri(closest.uri),
    received: shownUri(value).slice(0, longest),
    ...(isShown && value.length <= longest && { remedy }),
  }
}

/**
 * Explains a redirect URI that differs from that of the authorization request, which a code is redeemed with (RFC 6749
 * §4.1.3).
 */
function explainOtherRedirectUri({ params, refused: { source } }: Facts): Partial<Reason> {
  const { redirectUri } = (source?.payload ?? {}) as { redirectUri?: string }
  const received = String(params['redirect_uri'])
  const difference = redirectUri === undefined ? undefined : nearest([redirectUri], received)?.difference
  return {
    reason: `redirect_uri is not that of the authorization request${difference ? `: ${difference}` : ''}`,
    parameter: 'redirect_uri',
    expected: redirectUri && shownUri(redirectUri),
    received: shownUri(received).slice(0, longest),
  }
}

function explainPkce({ client }: Facts): Partial<Reason> {
  return {
    reason: 'the client has to use PKCE: the request has no code_challenge (RFC 7636 §4.3)',
    parameter: 'code_challenge',
    ...(client && client.clientAuthMethod !== 'none' && { remedy: update(client.clientId, 'require-pkce', ['false']) }),
  }
}

function explainGrantType(facts: Facts, text: string): Partial<Reason> | undefined {
  const wanted = /(\S+:grant-type:\S+)/.exec(text)?.[1] ?? facts.params['grant_type']
  return registered(facts, 'grant_type', facts.client?.grantTypes, String(wanted))
}

/** Returns what a client may ask for, beside what it asked for. */
function registered(
  { client, params }: Facts,
  parameter: string,
  allowed: readonly string[] | undefined,
  received: unknown = params[parameter],
): Partial<Reason> | undefined {
  if (!client || typeof received !== 'string') return undefined
  return { parameter, expected: allowed?.join(' ').slice(0, longest), received: received.slice(0, longest) }
}

async function explainPresented(facts: Facts): Promise<Partial<Reason> | undefined> {
  const { db, client, params, refused } = facts
  const { req, source } = refused
  if (source?.consumedAtMs !== undefined && source.clientId === client?.clientId) {
    const name = isArtifactModel(source.model) ? factsOf(source.model).noun : source.model
    // A look-up would not find it: everything that was issued in that login has been revoked by now (RFC 9700 §4.14.2).
    return { reason: `the ${name} was used ${ago(source.consumedAtMs)}` }
  }
  const presented = presentedBy(params, req.headers.authorization)
  return presented && (await explainArtifact(db, presented, client?.clientId))
}

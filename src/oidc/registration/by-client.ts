import { decodeJwt } from 'jose'
import type Provider from 'oidc-provider'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { randomId } from '../../crypto/digests.ts'
import { gathered } from '../../registration/localized.ts'
import type { Metadata } from '../../registration/metadata.ts'
import * as policies from '../../registration/policies.ts'
import { effective, judge } from '../../registration/policy.ts'
import { reduced, withoutUnused } from '../../registration/reductions.ts'
import type { Refusal } from '../../registration/refusal.ts'
import type { Policy } from '../../registration/rules.ts'
import { applyStatement, type VerifyStatement } from '../../registration/software-statements.ts'
import type { ClientMetadata } from '../../stores/clients/clients.ts'
import { assertPermitted, type Judged, type NewSecret, type Permission } from '../request/registration.ts'
import { type Storage, TemporarilyUnavailable, withEngineErrors } from '../request/storage.ts'
import { current, type Work } from '../request/work.ts'
import { createSecret, needsSecret, secretExpiry } from './by-administrator.ts'
import { circumstancesOf } from './circumstances.ts'
import { withOidcScopes } from './metadata.ts'

export type DynamicRegistration = ReturnType<typeof createDynamicRegistration>

type Dependencies = { storage: Storage; verifyStatement: VerifyStatement }

/** The name of the hook that the engine runs before its own checks, for tokens that name it. All of our tokens do. */
export const enginePolicy = 'postern'

/** Creates the configuration of the engine for registration by clients themselves (RFC 7591, RFC 7592). */
export function createDynamicRegistration(dependencies: Dependencies) {
  return {
    idFactory: () => randomId(),
    secretFactory: createSecret,
    policies: {
      [enginePolicy]: (ctx: KoaContextWithOIDC, properties: object) =>
        withEngineErrors(complete(dependencies, ctx, properties as ClientMetadata)),
    },
  }
}

/** Returns the work of the current request, which registers or changes a client. */
export function registering(): Work {
  const work = current()
  if (work?.endpoint !== 'registration') throw new Error('Clients register themselves at the registration endpoint.')
  return work
}

/**
 * Rejects metadata that the policy of the presented token does not allow.
 *
 * @throws errors.InvalidClientMetadata (RFC 7591 §3.2.2).
 */
export function assertAllowed(storage: Storage, { policy }: Pick<Judged, 'policy'>, metadata: Metadata): void {
  const refusal = judge(metadata, circumstancesOf(storage, policy, { isOwnWord: true }))
  if (refusal) throw toError(refusal)
}

/**
 * Turns a refusal into an error (RFC 7591 §3.2.2). The engine derives the error code from the first word of its
 * message.
 */
export function toError({ field, rule, message }: Refusal): errors.OIDCProviderError {
  const about = field === undefined || message.startsWith(field) ? message : `${field}: ${message}`
  return new errors.InvalidClientMetadata(rule === undefined ? about : `${about} (${rule})`)
}

/**
 * Returns a registration together with the policy that judges it. A new client is judged by the policy of its initial
 * access token, a change by the policy that the client is under.
 */
export async function withPolicy({ db }: Storage, { registration }: Work): Promise<Judged> {
  if (registration.step === 'judged' || registration.step === 'saved') return { ...registration, step: 'judged' }
  const { openBearer, count, permission } = assertPermitted(registration)
  const policy = await policies.find(db, permission.policy)
  if (!policy) throw toError({ message: `there is no registration policy ${permission.policy}` })
  return { step: 'judged', openBearer, count, permission, policy, scope: undefined, secret: undefined }
}

/**
 * Completes `properties` in place: with the claims of the software statement, the defaults of the policy and, if the
 * client needs one, a secret. The engine then stores and answers with the metadata that was judged, rather than with
 * what was sent.
 */
async function complete(
  { storage, verifyStatement }: Dependencies,
  ctx: KoaContextWithOIDC,
  properties: ClientMetadata,
): Promise<void> {
  const work = registering()
  const judged = await withPolicy(storage, work)
  const { policy, permission } = judged
  const { client_secret: _secret, client_secret_expires_at: _expiry, ...given } = gathered(properties)
  const said = await withStatement(withoutUnused(given), { policy, permission, verifyStatement })
  const metadata = effective(reduced(said, circumstancesOf(storage, policy, { isOwnWord: true })), policy)
  // Judged before the engine, which relies on its form, and again after it.
  assertAllowed(storage, judged, metadata)
  const { shown, secret } = secretOf(metadata, { provider: ctx.oidc.provider, policy, permission })
  work.registration = { ...judged, scope: metadata['scope'] as string | undefined, secret }
  for (const name of Object.keys(properties)) delete properties[name]
  Object.assign(properties, withOidcScopes(metadata), shown)
}

/**
 * Applies the software statement in metadata (RFC 7591 §2.3). A client that was registered with a statement keeps it:
 * only another statement replaces its claims, and leaving it out does not remove them.
 */
async function withStatement(
  given: Metadata,
  { policy, permission, verifyStatement }: { policy: Policy; permission: Permission } & Omit<Dependencies, 'storage'>,
): Promise<Metadata> {
  const kept = permission.client?.metadata['software_statement']
  const statement = given['software_statement'] ?? kept
  if (statement === undefined) return given
  if (typeof statement !== 'string') {
    throw new errors.InvalidSoftwareStatement('software_statement must be a JWT')
  }
  if (policy.rules.software_statement === 'refused') {
    throw new errors.UnapprovedSoftwareStatement('a software_statement must not be presented (software_statement)')
  }
  const claims = statement === kept ? decodeJwt(statement) : await verified(statement, verifyStatement)
  return applyStatement({ ...given, software_statement: statement }, claims)
}

async function verified(statement: string, verifyStatement: VerifyStatement) {
  const outcome = await verifyStatement(statement).catch((cause) => {
    throw new TemporarilyUnavailable(cause) // the keys of its issuer cannot be fetched
  })
  if ('claims' in outcome) return outcome.claims
  const { error, message } = outcome
  throw error === 'invalid_software_statement'
    ? new errors.InvalidSoftwareStatement(message)
    : new errors.UnapprovedSoftwareStatement(message)
}

/**
 * Returns the members about the secret that a client has after this registration, and the secret itself if it is new.
 */
function secretOf(
  metadata: Metadata,
  { provider, policy, permission: { client } }: { provider: Provider; policy: Policy; permission: Permission },
): { shown: Metadata; secret: NewSecret | undefined } {
  if (!needsSecret(provider, metadata)) return { shown: {}, secret: undefined }
  const client_secret = client?.secret?.reveal()
  const client_secret_expires_at = client?.metadata['client_secret_expires_at']
  if (client_secret !== undefined && !isDue(Number(client_secret_expires_at ?? 0), policy)) {
    return { shown: { client_secret, client_secret_expires_at }, secret: undefined }
  }
  const value = createSecret()
  const expiresAtSeconds = secretExpiry(policy)
  return {
    shown: { client_secret: value, client_secret_expires_at: expiresAtSeconds },
    secret: { value, expiresAtSeconds, isReplacement: client_secret !== undefined },
  }
}

/** Says whether to replace a secret: it has expired, or is in the last quarter of its lifetime. 0 means no expiry. */
function isDue(expiresAtSeconds: number, { rules }: Policy): boolean {
  const left = expiresAtSeconds - Date.now() / 1000
  return expiresAtSeconds !== 0 && left < (rules.secret_ttl_seconds ?? 0) / 4
}

type NeedsSecret = { needsSecret(metadata: object): boolean }

/** Lets the engine find out whether malformed metadata needs a secret. It asks before anything has checked the form. */
export function readAnyForm(provider: Provider): void {
  const Client = provider.Client as unknown as NeedsSecret
  const decide = Client.needsSecret
  Client.needsSecret = (metadata) =>
    decide(Object.fromEntries(Object.entries(metadata).filter(([, value]) => typeof value === 'string')))
}

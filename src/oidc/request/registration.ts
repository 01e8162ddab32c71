import type { Tx } from '../../database/schema.ts'
import type { Policy } from '../../registration/rules.ts'
import type { ActiveClient, ClientMetadata } from '../../stores/clients/clients.ts'

/**
 * The permission that the token of a registration request gives: to register a client, or to change the one that it
 * manages.
 */
export type Permission = {
  /** The name of the policy that judges the client. */
  policy: string
  actor: string
  /** The id of the initial access token. The registration is one use of it. */
  tokenId?: string
  /** The client that the token manages, as it was when the request began. */
  client?: ActiveClient
  readAt?: Date
}

/** The secret that this request creates. The answer shows it, and no later one does. */
export type NewSecret = { value: string; expiresAtSeconds: number; isReplacement: boolean }

type Asked = {
  step: 'asked'
  /** The token made for a request that came without one, where registration is open. No other request can use it. */
  openBearer: string | undefined
  /** Counts a client registered without a token, in the transaction that saves it. Throws when there are too many. */
  count: ((tx: Tx) => Promise<void>) | undefined
}

type Allowed = Omit<Asked, 'step'> & { step: 'allowed'; permission: Permission }

export type Judged = Omit<Allowed, 'step'> & {
  step: 'judged'
  policy: Policy
  /** All scopes of the client. The engine sees only those that it knows. */
  scope: string | undefined
  secret: NewSecret | undefined
}

type Saved = Omit<Judged, 'step'> & { step: 'saved'; metadata: ClientMetadata }

type Deleted = Omit<Allowed, 'step'> & { step: 'deleted'; clientId: string }

/**
 * A registration request, by how far it has come: a token allows it, the token's policy judges the metadata, and the
 * client is saved or deleted. The transaction at the end of the request applies the last two.
 */
export type Registration = Asked | Allowed | Judged | Saved | Deleted

/**
 * Returns a registration that a token allows.
 *
 * @throws Error when no token does, which is a fault of ours or the engine's.
 */
export function assertPermitted(registration: Registration): Exclude<Registration, Asked> {
  if (registration.step === 'asked') throw new Error('Nothing allows this registration.')
  return registration
}

/** The permission of a registration, once a token allows it. */
export function permissionOf(registration: Registration): Permission | undefined {
  return registration.step === 'asked' ? undefined : registration.permission
}

/** The id of the client that the request saves or deletes. */
export function changedClientId(registration: Registration): string | undefined {
  if (registration.step === 'saved') return registration.metadata.client_id
  return registration.step === 'deleted' ? registration.clientId : undefined
}

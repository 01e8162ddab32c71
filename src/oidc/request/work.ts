import { AsyncLocalStorage } from 'node:async_hooks'
import type { Tx } from '../../database/schema.ts'
import type { Policy } from '../../registration/rules.ts'
import type { ActiveClient, ClientMetadata } from '../../stores/clients/clients.ts'
import type { AuditEvent } from '../../stores/operations/audit.ts'
import type { Account } from '../../stores/people/accounts.ts'
import type { Artifact, FoundArtifact } from '../../stores/protocol/artifacts.ts'
import type { FoundSession } from '../../stores/protocol/sessions.ts'
import type { SessionChange, SessionOrigin, Stage } from '../../stores/protocol/stages.ts'
import type { Endpoint } from '../endpoints.ts'
import type { Browser } from './browser.ts'

type Payload = Record<string, unknown>

/**
 * What one HTTP request has read and wants to write. Reads are answered from here the second time; writes
 * wait here until the engine has answered, and are applied in one statement before a byte is sent.
 */
export type RequestScope = {
  endpoint: Endpoint
  requestId: string
  address: string
  /** Where interactions begin and go on. Without it there are none. */
  browser: Browser | undefined
  artifacts: Map<string, Promise<FoundArtifact[]>>
  sessions: Map<string, { found: FoundSession; presentedId: string | undefined }>
  accounts: Map<string, Account>
  /** Each client that was read, as it was the first time. */
  clients: Map<string, Pick<ActiveClient, 'updatedAtMs' | 'credentialVersion'>>
  /** Whether the client was authenticated by the secret before its last rotation. */
  isByPreviousSecret: boolean
  /** The sign-in that the request finishes. */
  signIn: { accountId: string; epoch: number } | undefined
  /** Whether a person who signs out cannot be led back to the app that asked for it. */
  cannotReturn: boolean
  /** Whether the request came to finish a sign-in that has ended meanwhile. */
  hasSignInEnded: boolean
  grants: Map<string, Payload>
  /** The code or token the request presented. */
  source: FoundArtifact | undefined
  /** The family of what is issued when nothing was presented: a new login. */
  newFamily: string | undefined
  claim: Stage['claim']
  /** The pushed request that was used up: before anything else is written, so that of two requests one goes on. */
  pushedHash: Buffer | undefined
  decision: Stage['decision']
  inserts: Artifact[]
  session: SessionChange | undefined
  endedSession: SessionOrigin | undefined
  audit: AuditEvent[]
  /** The identifiers that were claimed, of proofs and assertions. */
  claimedOnce: Buffer[]
  revocations: Map<string, Promise<void>>
  registration: Registration
}

/** What the token of a registration request allows: to register a client, or to change the one it is of. */
export type Permission = {
  /** The name of the policy that judges the client. */
  policy: string
  actor: string
  /** The id of the initial access token, of which this is one use. */
  tokenId?: string
  /** The client as it was when the request began, if it is one there is already. */
  client?: ActiveClient
  readAt?: Date
}

/** A registration, from what allows it to what comes of it. */
export type Registration = {
  /** What a request without a token is let in by, where registration is open. It is of no use to another request. */
  openBearer: string | undefined
  /** Counts a client that is registered without a token, in the transaction that saves it. Throws when there are too many. */
  count: ((tx: Tx) => Promise<void>) | undefined
  permission: Permission | undefined
  policy: Policy | undefined
  /** All scopes of the client. The engine only sees those it knows. */
  scope: string | undefined
  /** The secret that is made now, and so is shown. */
  secret: { value: string; expiresAtSeconds: number; isReplacement: boolean } | undefined
  saved: ClientMetadata | undefined
  destroyed: string | undefined
  redeemedTokenHash: Buffer | undefined
}

const storage = new AsyncLocalStorage<RequestScope>()

/** The scope of the request being handled, if any: the command line has none. */
export function current(): RequestScope | undefined {
  return storage.getStore()
}

/** Runs `work` with a scope of its own. */
export function run<T>(scope: RequestScope, work: () => Promise<T>): Promise<T> {
  return storage.run(scope, work)
}

export function createRequestScope(about: Pick<RequestScope, 'endpoint' | 'requestId' | 'address'>): RequestScope {
  return {
    ...about,
    browser: undefined,
    artifacts: new Map(),
    sessions: new Map(),
    accounts: new Map(),
    clients: new Map(),
    isByPreviousSecret: false,
    signIn: undefined,
    cannotReturn: false,
    hasSignInEnded: false,
    grants: new Map(),
    source: undefined,
    newFamily: undefined,
    claim: undefined,
    pushedHash: undefined,
    decision: undefined,
    inserts: [],
    session: undefined,
    endedSession: undefined,
    audit: [],
    claimedOnce: [],
    revocations: new Map(),
    registration: {
      openBearer: undefined,
      count: undefined,
      permission: undefined,
      policy: undefined,
      scope: undefined,
      secret: undefined,
      saved: undefined,
      destroyed: undefined,
      redeemedTokenHash: undefined,
    },
  }
}

/** Notes a security event; it is written together with what the request does. */
export function note(event: AuditEvent): void {
  const scope = current()
  scope?.audit.push({ requestId: scope.requestId, address: scope.address, ...event })
}

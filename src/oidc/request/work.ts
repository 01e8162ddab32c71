import { AsyncLocalStorage } from 'node:async_hooks'
import type { Proof } from '../../authentication/proofs.ts'
import type { ActiveClient } from '../../stores/clients/clients.ts'
import type { AuditEvent } from '../../stores/operations/audit.ts'
import type { Account } from '../../stores/people/accounts.ts'
import type { Artifact, FoundArtifact } from '../../stores/protocol/artifacts.ts'
import type { FoundSession } from '../../stores/protocol/sessions.ts'
import type { Redemption, SessionChange, SessionOrigin } from '../../stores/protocol/stages.ts'
import type { Endpoint } from '../endpoints.ts'
import type { Browser } from './browser.ts'
import type { Registration } from './registration.ts'

type Payload = Record<string, unknown>

/**
 * The work of one HTTP request: what it has read and what it wants to write. A second read of the same thing is
 * answered from here. The writes wait here until the engine has answered, and are applied in one statement before a
 * byte is sent.
 */
export type Work = {
  endpoint: Endpoint
  requestId: string
  address: string
  /** The browser's description of itself, cut to the length that is kept. */
  userAgent?: string | undefined
  /** The browser, on the paths where interactions begin and go on. Without it no interaction is found. */
  browser: Browser | undefined
  reads: Reads
  writes: Writes
  registration: Registration
}

export type Reads = {
  artifacts: Map<string, Promise<FoundArtifact[]>>
  sessions: Map<string, { found: FoundSession; presentedId: string | undefined }>
  accounts: Map<string, Account>
  /** Each client as the request first read it. */
  clients: Map<string, Pick<ActiveClient, 'updatedAtMs' | 'credentialVersion'>>
  grants: Map<string, Payload>
  /** The code or token that the request presented. */
  source: FoundArtifact | undefined
  /** The sign-in that the request finishes. */
  signIn: { accountId: string; epoch: number; proofs: Proof[] } | undefined
  /** Whether the sign-in that the request came to finish has ended since. */
  hasSignInEnded: boolean
  /** Whether the client was authenticated by the secret that the last rotation replaced. */
  isByPreviousSecret: boolean
  /** Whether the app that asked for a sign-out named no address that the person can return to. */
  cannotReturn: boolean
}

export type Writes = {
  /** The one artifact that the request redeems; `redeem` sets it. */
  redemption: Redemption | undefined
  /**
   * The pushed request that was redeemed at once, before anything else is written, so that only one of two requests
   * continues.
   */
  pushedHash: Buffer | undefined
  /** Identifiers of the proofs and assertions that were redeemed at once. */
  redeemedProofs: Buffer[]
  /** The registration access token that the request replaces or ends. */
  registrationTokenHash: Buffer | undefined
  decision: Artifact | undefined
  inserts: Artifact[]
  /** The family of what is issued when nothing was presented: a new login. */
  newFamily: string | undefined
  session: SessionChange | undefined
  endedSession: SessionOrigin | undefined
  audit: AuditEvent[]
  /** Revocations by grant, under way or done: the engine requests each of them once for every model. */
  revocations: Map<string, Promise<void>>
}

const works = new AsyncLocalStorage<Work>()

/** Returns the work of the request being handled; `undefined` outside a request, as on the command line. */
export function current(): Work | undefined {
  return works.getStore()
}

/** Runs the handler of a request with this work. */
export function run<T>(work: Work, handler: () => Promise<T>): Promise<T> {
  return works.run(work, handler)
}

/** Creates the work of a request that has read and written nothing yet. */
export function createWork(request: Pick<Work, 'endpoint' | 'requestId' | 'address' | 'userAgent'>): Work {
  return {
    ...request,
    browser: undefined,
    reads: {
      artifacts: new Map(),
      sessions: new Map(),
      accounts: new Map(),
      clients: new Map(),
      grants: new Map(),
      source: undefined,
      signIn: undefined,
      hasSignInEnded: false,
      isByPreviousSecret: false,
      cannotReturn: false,
    },
    writes: {
      redemption: undefined,
      pushedHash: undefined,
      redeemedProofs: [],
      registrationTokenHash: undefined,
      decision: undefined,
      inserts: [],
      newFamily: undefined,
      session: undefined,
      endedSession: undefined,
      audit: [],
      revocations: new Map(),
    },
    registration: { step: 'asked', openBearer: undefined, count: undefined },
  }
}

/**
 * Records the artifact that the request redeems, together with what it issues.
 *
 * @throws Error when the request has redeemed another one: only one of them would be checked.
 */
export function redeem({ writes }: Work, redemption: Redemption): void {
  const { redemption: other } = writes
  if (other && !(other.model === redemption.model && other.idHash.equals(redemption.idHash))) {
    throw new Error(`A request that redeems a ${other.model} must not redeem a ${redemption.model} as well.`)
  }
  writes.redemption = redemption
}

/** Records a security event, which is written together with the request's other writes. */
export function recordEvent(event: AuditEvent): void {
  const work = current()
  work?.writes.audit.push({ requestId: work.requestId, address: work.address, ...event })
}

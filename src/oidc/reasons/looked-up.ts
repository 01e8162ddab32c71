import type { Db } from '../../database/schema.ts'
import { type ArtifactModel, factsOf, modelsWith } from '../../stores/protocol/models.ts'
import * as traces from '../../stores/protocol/traces.ts'
import { hashOf } from '../request/payloads.ts'
import type { Reason } from './reason.ts'
import { quoted } from './remedies.ts'

/** A code or token that a request presents. It can be unknown, used, expired or another client's. */
export type Presented = { model: ArtifactModel; value: string }

const parUrn = 'urn:ietf:params:oauth:request_uri:'

/** Returns the code or token of a request, from its parameter or header. */
export function presentedBy(params: Record<string, unknown>, authorization: string | undefined): Presented | undefined {
  const bearer = /^(?:Bearer|DPoP) (\S+)$/i.exec(authorization ?? '')?.[1]
  for (const model of modelsWith(({ parameter }) => parameter !== undefined)) {
    const { parameter = '', isAccessToken } = factsOf(model)
    const value = (isAccessToken ? bearer : undefined) ?? params[parameter]
    if (typeof value !== 'string') continue
    if (parameter !== 'request_uri') return { model, value }
    if (value.startsWith(parUrn)) return { model, value: value.slice(parUrn.length) }
  }
  return undefined
}

/** Explains why a code or token is not accepted from a client; `undefined` when nothing is wrong with it. */
export async function explainArtifact(
  db: Db,
  { model, value }: Presented,
  clientId: string | undefined,
): Promise<Partial<Reason> | undefined> {
  const name = factsOf(model).noun
  const trace = await traces.ofArtifact(db, { model, idHash: hashOf(value) })
  if (!trace) {
    return {
      reason: `the ${name} is not known: it was never issued here, expired a while ago, or was revoked, perhaps with its account or client`,
    }
  }
  if (clientId !== undefined && trace.clientId !== undefined && trace.clientId !== clientId) {
    return {
      reason: `the ${name} was issued to another client`,
      parameter: 'client_id',
      expected: trace.clientId,
      received: clientId,
    }
  }
  const client = trace.clientId === undefined ? undefined : await explainClient(db, trace.clientId)
  if (client) return client
  if (trace.consumedAtMs !== undefined) return { reason: `the ${name} was used ${ago(trace.consumedAtMs)}` }
  if (trace.isDestroyed) return { reason: `the ${name} was revoked` }
  if (trace.expiresAtMs !== undefined && trace.expiresAtMs <= Date.now()) {
    return { reason: `the ${name} expired ${ago(trace.expiresAtMs)}` }
  }
  return undefined
}

/** Explains why a client is rejected; `undefined` when nothing is wrong with it. */
export async function explainClient(db: Db, id: string): Promise<Partial<Reason> | undefined> {
  const trace = await traces.ofClient(db, id)
  const of = { parameter: 'client_id', received: id }
  if (!trace) return { ...of, reason: 'there is no client with this id', remedy: 'postern client list' }
  if (trace.deletedAtMs !== undefined) return { ...of, reason: `the client was deleted ${ago(trace.deletedAtMs)}` }
  if (trace.disabledAtMs !== undefined) {
    return {
      ...of,
      reason: `the client was disabled ${ago(trace.disabledAtMs)}`,
      remedy: `postern client enable ${quoted(id)}`,
    }
  }
  if (trace.expiresAtMs !== undefined && trace.expiresAtMs <= Date.now()) {
    return { ...of, reason: `the client's registration ended ${ago(trace.expiresAtMs)}` }
  }
  return undefined
}

/** Explains why a secret was rejected, by what is known about those of the client. */
export async function explainSecret(db: Db, id: string): Promise<Partial<Reason>> {
  const trace = await traces.ofClient(db, id)
  const { secretReplacedAtMs: replaced, previousSecretExpiresAtMs: previousEnd } = trace ?? {}
  const since = replaced === undefined ? '' : `; it was replaced ${ago(replaced)}`
  const isPreviousOver = replaced !== undefined && previousEnd !== undefined && previousEnd <= Date.now()
  const end = isPreviousOver ? `, and the one before it was valid until ${ago(previousEnd)}` : ''
  return {
    reason: `the client secret does not match${since}${end}`,
    remedy: `postern client rotate-secret ${quoted(id)}`,
  }
}

/** Returns how long ago a moment was, in words: `4 s ago`, `2 h ago`. */
export function ago(atMs: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - atMs) / 1000))
  if (seconds < 120) return `${seconds} s ago`
  if (seconds < 2 * 3_600) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 2 * 86_400) return `${Math.round(seconds / 3_600)} h ago`
  return `${Math.round(seconds / 86_400)} days ago`
}

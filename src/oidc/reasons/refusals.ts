import type { IncomingMessage } from 'node:http'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Db } from '../../database/schema.ts'
import type { FoundArtifact } from '../../stores/protocol/artifacts.ts'
import { current } from '../request/work.ts'
import type { Reason } from './reason.ts'
import { type Asked, reasonOf } from './reasons.ts'

/** The parts of a request that matter when it is refused, whether by the engine or by our own middleware. */
type Context = { req: IncomingMessage; state: Record<string, unknown>; oidc?: KoaContextWithOIDC['oidc'] }
type Note = { error: unknown; source: FoundArtifact | undefined; about: Asked | undefined; reason?: Promise<Reason> }

const noted = Symbol('why the request was refused')

/** Records the error that a request failed with. If there are several, the last one is the answer. */
export function recordRefusal(ctx: object, error: unknown, about?: Asked): void {
  const state = (ctx as { state: { [noted]?: Note } }).state
  if (state[noted]?.error !== error) state[noted] = { error, source: current()?.reads.source, about }
}

/** Explains why a request was refused, with one look-up for each request; `undefined` if it was not refused. */
export function explain(db: Db, ctx: object): Promise<Reason> | undefined {
  const { req, oidc, state } = ctx as Context
  const note = (state as { [noted]?: Note })[noted]
  if (!note) return undefined
  const about = note.about ?? oidc
  note.reason ??= reasonOf(db, {
    error: note.error,
    refused: { req, ...(about && { oidc: about }), source: note.source },
  })
  return note.reason
}

import type { Context, Middleware } from 'koa'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { networksOf } from '../../authentication/networks.ts'
import { addressOf, routes } from '../../oidc/endpoints.ts'
import { changedClientId, permissionOf } from '../../oidc/request/registration.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import { current, type Work } from '../../oidc/request/work.ts'
import * as replays from '../../stores/protocol/replays.ts'
import type { ErrorCode } from '../../views/texts/index.ts'
import type { Allowance, Allowances } from '../allowances.ts'

/** The error of a request that would store more than its network or client may. */
export class AllowanceExceeded extends errors.OIDCProviderError {
  override name = 'AllowanceExceeded'
  readonly retryAfterSeconds: number
  readonly page: ErrorCode = 'too-many-requests'

  constructor(retryAfterSeconds: number) {
    super(429, 'temporarily_unavailable')
    this.expose = true
    this.error_description = `too many requests, try again in ${retryAfterSeconds} seconds`
    this.retryAfterSeconds = retryAfterSeconds
  }
}

type Charge = { allowance: Allowance; key: string; amount: number }
type Engine = Partial<KoaContextWithOIDC>

// As bench/leavings.ts measures them: the size of a row without its payload but with its index entries, and the space
// that a byte of the payload takes in PostgreSQL's pages.
const rowBytes = 550
const bytesPerByte = 1.5

const byStrangers: readonly string[] = ['open', 'document'] // registration policies

/**
 * Limits how much anonymous requests can store. It counts after the engine has answered a request and before anything
 * is written, in the memory of this process, so that counting costs no round trip. A signed-in person is not limited,
 * an authenticated client has an allowance of its own, and everyone else shares that of their network.
 */
export function boundStrangers({ allowances, storage }: { allowances: Allowances; storage: Storage }): Middleware {
  async function chargesOf(ctx: Context & Engine, work: Work): Promise<Charge[]> {
    // A /48 holds 65,536 networks of the size that a household gets.
    const byNetwork = (allowance: Allowance, amount: number): Charge[] =>
      networksOf(ctx.ip).map(({ network, allowance: times }) => ({ allowance, key: network, amount: amount / times }))
    if (work.endpoint === 'registration') {
      const id = changedClientId(work.registration)
      if (!permissionOf(work.registration)?.client || id === undefined || ctx.status >= 400) return []
      return [
        { allowance: allowances.changesByClient, key: id, amount: 1 },
        ...byNetwork(allowances.changesByNetwork, 1),
      ]
    }
    const amount = bytesKeptBy(work)
    if (amount === 0 || work.endpoint === 'token' || ctx.oidc?.session?.accountId !== undefined) return []
    const client = addressOf(ctx.path)?.authenticatesClient ? ctx.oidc?.client : undefined
    if (!client || client.clientAuthMethod === 'none') return byNetwork(allowances.keptByNetwork, amount)
    const byClient = { allowance: allowances.keptByClient, key: client.clientId, amount }
    const { policy = '' } = (await storage.clients.find(client.clientId)) ?? {}
    return byStrangers.includes(policy) ? [byClient, ...byNetwork(allowances.keptByNetwork, amount)] : [byClient]
  }

  /**
   * Forgets the proof of a pushed request that failed (RFC 9449 §10.1). An assertion stays used: it authenticates the
   * client.
   */
  async function forgetProof(ctx: Context & Engine, { writes: { redeemedProofs } }: Work): Promise<void> {
    const isByAssertion = ctx.oidc?.client?.clientAuthMethod?.endsWith('_jwt') ?? false
    if (ctx.path !== routes.pushed_authorization_request || isByAssertion) return
    for (const idHash of redeemedProofs) await replays.release(storage.db, idHash)
  }

  return async (ctx, next) => {
    await next()
    const work = current()
    if (!work) return
    const charges = await chargesOf(ctx, work)
    const seconds = Math.max(0, ...charges.map(({ allowance, key, amount }) => allowance.wait(key, amount)))
    if (seconds > 0 || ctx.status >= 400) await forgetProof(ctx, work)
    if (seconds > 0) {
      withdraw(ctx)
      throw new AllowanceExceeded(seconds)
    }
    for (const { allowance, key, amount } of charges) allowance.spend(key, amount)
  }
}

/** Returns the number of bytes that a request's new rows take. */
function bytesKeptBy({ writes: { inserts, session } }: Work): number {
  const payloads = inserts.map(({ payload }) => payload)
  if (session?.isNew) payloads.push(session.changed)
  return payloads.reduce((sum, payload) => sum + rowBytes + bytesPerByte * JSON.stringify(payload).length, 0)
}

/** Removes the headers of an answer that is not sent. */
function withdraw(ctx: Context): void {
  ctx.remove('Set-Cookie')
  ctx.remove('Location')
}

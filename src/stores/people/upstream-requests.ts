import { sql } from 'kysely'
import { sha256 } from '../../crypto/digests.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db, Tx } from '../../database/schema.ts'

/** Where a request to an upstream provider leads in the end: to a sign-in, or to an account that gets another way in. */
export type Purpose =
  | { interaction: string; account?: undefined }
  | { interaction?: undefined; account: { id: string; epoch: number; sessionUid: string } }

/** A request that was redeemed, with the values that were sealed for it. */
export type RedeemedRequest<Data> = { stateHash: Buffer; purpose: Purpose; data: Data }

/** The time in which a person has to sign in at the provider. */
export const lifetimeSeconds = 900

/** Returns the identity that the data of a request is sealed for. */
export const identity = (stateHash: Buffer): string => `upstream_requests.data:${stateHash.toString('hex')}`

/** Notes a request that a browser is sent away with. It replaces the one that this browser had for the same purpose. */
export async function create(
  db: Db,
  envelope: Envelope,
  {
    state,
    providerId,
    browserHash,
    purpose,
    data,
  }: { state: string; providerId: string; browserHash: Buffer; purpose: Purpose; data: unknown },
): Promise<void> {
  const stateHash = sha256(state)
  await db
    .with('replaced', (of) =>
      of.deleteFrom('upstream_requests').where('browser_hash', '=', browserHash).where('finished_at', 'is', null),
    )
    .insertInto('upstream_requests')
    .values({
      state_hash: stateHash,
      provider_id: providerId,
      browser_hash: browserHash,
      interaction: purpose.interaction ?? null,
      account_id: purpose.account?.id ?? null,
      account_epoch: purpose.account?.epoch ?? null,
      session_uid: purpose.account?.sessionUid ?? null,
      sealed: envelope.seal(JSON.stringify(data), identity(stateHash)),
      expires_at: new Date(Date.now() + lifetimeSeconds * 1000),
      redeemed_at: null,
      finished_at: null,
    })
    .execute()
}

const columns = ['state_hash', 'interaction', 'account_id', 'account_epoch', 'session_uid', 'sealed'] as const

/** Returns the interaction or the session that a request was made in, and the hash of its browser there. */
export async function findPlace(db: Db, state: string): Promise<{ place: string; browserHash: Buffer } | undefined> {
  const row = await db
    .selectFrom('upstream_requests')
    .select(['interaction', 'session_uid', 'browser_hash'])
    .where('state_hash', '=', sha256(state))
    .executeTakeFirst()
  return row && { place: row.interaction ?? String(row.session_uid), browserHash: row.browser_hash }
}

/**
 * Redeems the request that a provider answers, by its `state`. Of any number of concurrent answers one gets it, and only
 * in the browser that was sent away, with the provider that it was sent to.
 */
export async function redeem<Data>(
  db: Db,
  envelope: Envelope,
  { state, providerId, browserHash }: { state: string; providerId: string; browserHash: Buffer },
): Promise<RedeemedRequest<Data> | undefined> {
  const now = new Date()
  const row = await db
    .updateTable('upstream_requests')
    .set({ redeemed_at: now })
    .where('state_hash', '=', sha256(state))
    .where('provider_id', '=', providerId)
    .where('browser_hash', '=', browserHash)
    .where('redeemed_at', 'is', null)
    .where('expires_at', '>', now)
    .where(accountHolds)
    .returning(columns)
    .executeTakeFirst()
  return row && toRequest<Data>(row, envelope)
}

/** Keeps the verified answer of a redeemed request, until the browser comes back to where it began. */
export async function answer(db: Db, envelope: Envelope, stateHash: Buffer, data: unknown): Promise<void> {
  await db
    .updateTable('upstream_requests')
    .set({ sealed: envelope.seal(JSON.stringify(data), identity(stateHash)) })
    .where('state_hash', '=', stateHash)
    .where('redeemed_at', 'is not', null)
    .where('finished_at', 'is', null)
    .execute()
}

/** Finishes the redeemed request of a browser, and returns its answer. Of any number of concurrent calls one gets it. */
export async function finish<Data>(
  tx: Tx,
  envelope: Envelope,
  browserHash: Buffer,
): Promise<RedeemedRequest<Data> | undefined> {
  const now = new Date()
  const row = await tx
    .updateTable('upstream_requests')
    .set({ finished_at: now })
    .where('browser_hash', '=', browserHash)
    .where('redeemed_at', 'is not', null)
    .where('finished_at', 'is', null)
    .where('expires_at', '>', now)
    .where(accountHolds)
    .returning(columns)
    .executeTakeFirst()
  return row && toRequest<Data>(row, envelope)
}

const accountHolds = sql<boolean>`(upstream_requests.account_id is null or exists (
  select from accounts a where a.id = upstream_requests.account_id and a.disabled_at is null
    and a.epoch = upstream_requests.account_epoch))`

type Found = {
  state_hash: Buffer
  interaction: string | null
  account_id: string | null
  account_epoch: number | null
  session_uid: string | null
  sealed: string
}

function toRequest<Data>(row: Found, envelope: Envelope): RedeemedRequest<Data> {
  const { account_id: id, account_epoch: epoch, session_uid: sessionUid, interaction } = row
  const account = id !== null && epoch !== null && sessionUid !== null ? { id, epoch, sessionUid } : undefined
  const purpose = account ? { account } : { interaction: String(interaction) }
  const data = JSON.parse(envelope.open(row.sealed, identity(row.state_hash))) as Data
  return { stateHash: row.state_hash, purpose, data }
}

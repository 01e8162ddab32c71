import { timingSafeEqual } from 'node:crypto'
import { sql } from 'kysely'
import { randomId, sha256 } from '../../crypto/digests.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db, Row, Tx } from '../../database/schema.ts'
import { canonicalEmail } from './accounts.ts'

/** The reason why a link or a code is sent by mail. */
export type Purpose = 'sign-up' | 'sign-in' | 'email-change' | 'email-undo' | 'password-reset' | 'invitation'

export type Confirmation = {
  idHash: Buffer
  purpose: Purpose
  accountId: string | undefined
  /** The address that it was sent to, as its owner spells it. */
  email: string
  /** The hash of the browser that asked for it. */
  browserHash: Buffer | undefined
  data: Record<string, unknown>
}

export type NewConfirmation = {
  purpose: Purpose
  /** The address to send it to. */
  email: string
  /** The account, and the part of its state that must not change before the confirmation is redeemed. */
  account?: { id: string; epoch?: number | undefined; email?: string | undefined } | undefined
  browserHash?: Buffer | undefined
  /** Returns the hash of its code, if it has one. */
  codeHashOf?: ((idHash: Buffer) => Buffer) | undefined
  data?: Record<string, unknown>
  lifetimeSeconds: number
}

const mostAttempts = 5 // of a million codes, so that guessing one is hopeless

/** Returns the identity that the data of a confirmation is sealed for. */
export const identity = (idHash: Buffer): string => `confirmations.data:${idHash.toString('hex')}`

/**
 * Creates a confirmation, and returns the token of its link. It replaces an earlier one that the same browser asked for
 * with the same purpose, so that only the newest code counts.
 */
export async function create(tx: Tx, envelope: Envelope, confirmation: NewConfirmation): Promise<string> {
  const { purpose, email, account, browserHash, codeHashOf, data, lifetimeSeconds } = confirmation
  const token = randomId()
  const idHash = sha256(token)
  const now = Date.now()
  if (browserHash) {
    await tx
      .deleteFrom('confirmations')
      .where('browser_hash', '=', browserHash)
      .where('purpose', '=', purpose)
      .where('redeemed_at', 'is', null)
      .execute()
  }
  await tx
    .insertInto('confirmations')
    .values({
      id_hash: idHash,
      purpose,
      account_id: account?.id ?? null,
      account_epoch: account?.epoch ?? null,
      account_email: account?.email === undefined ? null : canonicalEmail(account.email),
      email: email.trim(),
      browser_hash: browserHash ?? null,
      code_hash: codeHashOf?.(idHash) ?? null,
      data_sealed: data ? envelope.seal(JSON.stringify(data), identity(idHash)) : null,
      created_at: new Date(now),
      expires_at: new Date(now + lifetimeSeconds * 1000),
      redeemed_at: null,
    })
    .execute()
  return token
}

const columns = ['id_hash', 'purpose', 'account_id', 'email', 'browser_hash', 'data_sealed'] as const

/** The state of a link: only a `valid` one can be redeemed. `void` means that its account has changed since. */
export type LinkState = 'valid' | 'expired' | 'used' | 'void'

/** Finds the confirmation of a link, and changes nothing. `undefined` if there never was such a link. */
export function find(
  db: Db,
  envelope: Envelope,
  token: string,
): Promise<{ state: LinkState; confirmation: Confirmation } | undefined> {
  return findByHash(db, envelope, sha256(token))
}

/** Does the same with the hash of the token, which is known once a code was right. */
export async function findByHash(
  db: Db,
  envelope: Envelope,
  idHash: Buffer,
): Promise<{ state: LinkState; confirmation: Confirmation } | undefined> {
  const row = await db
    .selectFrom('confirmations')
    .select([...columns, 'redeemed_at', 'expires_at', 'attempts'])
    .select(accountHolds.as('account_holds'))
    .where('id_hash', '=', idHash)
    .executeTakeFirst()
  if (!row) return undefined
  const state = row.redeemed_at
    ? 'used'
    : row.expires_at <= new Date() || row.attempts >= mostAttempts
      ? 'expired'
      : row.account_holds
        ? 'valid'
        : 'void'
  return { state, confirmation: toConfirmation(row, envelope) }
}

const accountHolds = sql<boolean>`(confirmations.account_id is null or exists (
  select from accounts a where a.id = confirmations.account_id and a.disabled_at is null
    and (confirmations.account_epoch is null or a.epoch = confirmations.account_epoch)
    and (confirmations.account_email is null or a.email_canonical = confirmations.account_email)))`

/** A link by its token, or the confirmation whose code was right. */
export type Presented = { token: string } | { idHash: Buffer }

/**
 * Redeems a confirmation. Of any number of concurrent calls only one gets it, and only if its account is still as it was
 * when the confirmation was created. `undefined` otherwise.
 *
 * It locks the account first, as everything does that changes one.
 *
 * @param options.browserHash - The browser that must have asked for it, if only that one may redeem it.
 */
export async function redeem(
  tx: Tx,
  envelope: Envelope,
  presented: Presented,
  { purposes, browserHash }: { purposes: readonly Purpose[]; browserHash?: Buffer | undefined },
): Promise<Confirmation | undefined> {
  const idHash = 'token' in presented ? sha256(presented.token) : presented.idHash
  await tx
    .selectFrom('accounts')
    .select('id')
    .where('id', '=', (of) => of.selectFrom('confirmations').select('account_id').where('id_hash', '=', idHash))
    .forUpdate()
    .execute()
  const now = new Date()
  const confirmation = tx.updateTable('confirmations').set({ redeemed_at: now }).where('id_hash', '=', idHash)
  const row = await (browserHash ? confirmation.where('browser_hash', '=', browserHash) : confirmation)
    .where('purpose', 'in', purposes)
    .where('redeemed_at', 'is', null)
    .where('expires_at', '>', now)
    .where('attempts', '<', mostAttempts)
    .where(accountHolds)
    .returning(columns)
    .executeTakeFirst()
  return row && toConfirmation(row, envelope)
}

/**
 * Checks a code in the browser that asked for it. Each call is one attempt, and five use the confirmation up, also when
 * they arrive at once.
 *
 * @returns the confirmation to redeem, `'wrong'`, or `'gone'` if there is none that can still be tried.
 */
export async function tryCode(
  db: Db,
  { purpose, browserHash, codeHashOf }: { purpose: Purpose; browserHash: Buffer; codeHashOf(idHash: Buffer): Buffer },
): Promise<{ idHash: Buffer } | 'wrong' | 'gone'> {
  const row = await db
    .updateTable('confirmations')
    .set((set) => ({ attempts: set('attempts', '+', 1) }))
    .where('browser_hash', '=', browserHash)
    .where('purpose', '=', purpose)
    .where('redeemed_at', 'is', null)
    .where('code_hash', 'is not', null)
    .where('expires_at', '>', new Date())
    .where('attempts', '<', mostAttempts)
    .returning(['id_hash', 'code_hash', 'attempts'])
    .executeTakeFirst()
  if (!row?.code_hash) return 'gone'
  const isRight = timingSafeEqual(row.code_hash, codeHashOf(row.id_hash))
  if (!isRight) return row.attempts >= mostAttempts ? 'gone' : 'wrong'
  // The right code was no guess: it leaves the confirmation as it was, so that the last attempt may be right.
  await db
    .updateTable('confirmations')
    .set((set) => ({ attempts: set('attempts', '-', 1) }))
    .where('id_hash', '=', row.id_hash)
    .execute()
  return { idHash: row.id_hash }
}

/** Ends the open confirmations of an account with these purposes. Their pages say that the account has changed. */
export async function revoke(tx: Tx, accountId: string, purposes: readonly Purpose[]): Promise<void> {
  await openOf(tx, accountId, purposes).execute()
}

/** Ends the open confirmations of an account that were created after another one. */
export async function revokeNewer(
  tx: Tx,
  accountId: string,
  { idHash, purposes }: { idHash: Buffer; purposes: readonly Purpose[] },
): Promise<void> {
  await openOf(tx, accountId, purposes)
    .where('created_at', '>', (of) => of.selectFrom('confirmations').select('created_at').where('id_hash', '=', idHash))
    .execute()
}

function openOf(tx: Tx, accountId: string, purposes: readonly Purpose[]) {
  return tx
    .updateTable('confirmations')
    .set({ account_epoch: -1 }) // which no account ever has
    .where('account_id', '=', accountId)
    .where('purpose', 'in', purposes)
    .where('redeemed_at', 'is', null)
}

function toConfirmation(row: Row<'confirmations', (typeof columns)[number]>, envelope: Envelope): Confirmation {
  return {
    idHash: row.id_hash,
    purpose: row.purpose as Purpose,
    accountId: row.account_id ?? undefined,
    email: row.email,
    browserHash: row.browser_hash ?? undefined,
    data: row.data_sealed === null ? {} : JSON.parse(envelope.open(row.data_sealed, identity(row.id_hash))),
  }
}

import { z } from 'zod'
import type { Config } from '../config/index.ts'
import { secret } from '../secret.ts'
import type { AuditedTx } from '../stores/operations/audit.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as addressChanges from '../stores/people/address-changes.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import type { AccountTx } from './acting.ts'

const longest = 1_024 // code units; checkPassword says whether an account may have it

/** A password, as it is typed. */
export const password = z
  .string()
  .min(1)
  .max(longest)
  .transform((value) => secret(value))
  .meta({ secret: true })

/** Returns the parts of the settings that checkPassword compares a password with. */
export function rulesFor({
  BRAND_NAME,
  ISSUER,
  PASSWORD_MIN_LENGTH,
}: Pick<Config, 'BRAND_NAME' | 'ISSUER' | 'PASSWORD_MIN_LENGTH'>): { serviceName: string; minLength: number } {
  return { serviceName: `${BRAND_NAME} Postern ${new URL(ISSUER).hostname}`, minLength: PASSWORD_MIN_LENGTH }
}

/**
 * Sets the password of an account and signs it out everywhere, because somebody who knew the old password may be signed
 * in. `mustChange` makes its owner choose another at the next sign-in. Returns `false` if the account does not exist.
 */
export async function set(
  { tx, record }: AuditedTx,
  accountId: string,
  hash: string,
  { mustChange = false }: { mustChange?: boolean } = {},
): Promise<boolean> {
  // This comes first because deleting an account locks the account before its password.
  if (!(await accounts.signOutEverywhere(tx, accountId))) return false
  await accounts.setPasswordHash(tx, accountId, hash, { mustChange })
  record({ type: 'account.password_set', accountId, ...(mustChange && { details: { must_change: true } }) })
  return true
}

/**
 * Makes the owner of an account choose another password at the next sign-in, before it continues. Sessions go on. Returns
 * `false` if the account has no password.
 */
export async function requireChange({ tx, record }: AuditedTx, accountId: string): Promise<boolean> {
  if (!(await accounts.requirePasswordChange(tx, accountId))) return false
  record({ type: 'account.password_change_required', accountId })
  return true
}

/** How a person came to choose a password: with the old one or a recent sign-in, by a link, or because they had to. */
export type PasswordOrigin = 'changed' | 'reset' | 'invitation' | 'required'

/**
 * Sets the password that a person chose, and tells them by mail. Links and codes that are on their way end, and so does a
 * change of address: somebody else may have asked for them.
 *
 * @param options.signsOut - Whether it ends the sign-ins of the account, except in the session `keptSessionUid`.
 * @param options.epoch - The epoch that the account must still have.
 * @returns the account as it is then; `undefined` if it was disabled or deleted, its sign-ins have ended since, or the
 *   password that had to be replaced was replaced by somebody else who knew it.
 */
export async function choose(
  { tx, record, mail }: AccountTx,
  accountId: string,
  {
    hash,
    origin,
    signsOut,
    keptSessionUid,
    epoch,
  }: {
    hash: string
    origin: PasswordOrigin
    signsOut: boolean
    keptSessionUid?: string | undefined
    epoch?: number | undefined
  },
): Promise<accounts.Account | undefined> {
  const account = await accounts.lock(tx, accountId)
  if (!account || account.isDisabled || (epoch !== undefined && account.epoch !== epoch)) return undefined
  if (origin === 'required' && !account.mustChangePassword) return undefined
  if (signsOut) {
    if (keptSessionUid === undefined) await accounts.signOutEverywhere(tx, accountId)
    else await accounts.signOutElsewhere(tx, accountId, keptSessionUid)
  }
  await accounts.setPasswordHash(tx, accountId, hash)
  await confirmations.revoke(tx, accountId, ['password-reset', 'invitation', 'sign-in', 'email-change'])
  await addressChanges.end(tx, accountId)
  record({ type: 'account.password_changed', accountId, details: { origin, signed_out: signsOut } })
  if (origin !== 'invitation') {
    mail({ kind: 'password-changed', to: account.email, accountId, at: new Date().toISOString() })
  }
  return accounts.findById(tx, accountId)
}

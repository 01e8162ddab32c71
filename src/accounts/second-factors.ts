import { createRecoveryCodes, recoveryCodeHash } from '../authentication/recovery-codes.ts'
import { createTotpSecret, stepOf } from '../authentication/totp.ts'
import type { Secret } from '../secret.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as recoveryCodes from '../stores/people/recovery-codes.ts'
import * as devices from '../stores/people/remembered-devices.ts'
import * as totp from '../stores/people/totp.ts'
import type { AccountTx } from './acting.ts'

/** Begins to set up an authenticator app. Returns the secret to show, or `'has-one'` if the account has an app already. */
export async function beginTotp({ tx, envelope }: AccountTx, accountId: string): Promise<Buffer | 'has-one'> {
  const secret = createTotpSecret()
  return (await totp.begin(tx, envelope, accountId, secret)) ? secret : 'has-one'
}

/**
 * Confirms an authenticator app by its first code. From then on it is required. Returns the recovery codes of an account
 * that had none, and tells its owner. `'wrong-code'` if the code is not right.
 */
export async function confirmTotp(
  context: AccountTx,
  accountId: string,
  { code, recoveryKey }: { code: string; recoveryKey: Secret<Buffer> },
): Promise<{ recoveryCodes: string[] } | 'wrong-code'> {
  const { tx, record, mail } = context
  const account = await accounts.lock(tx, accountId)
  if (!account || !(await accepts(context, accountId, { code, isFirst: true }))) return 'wrong-code'
  record({ type: 'account.totp_added', accountId })
  mail({ kind: 'second-factor-changed', to: account.email, accountId, at: new Date().toISOString() })
  if ((await recoveryCodes.countLeft(tx, accountId)) > 0) return { recoveryCodes: [] }
  return { recoveryCodes: await replaceCodes(context, accountId, recoveryKey) }
}

/** Removes the authenticator app of an account with its recovery codes and remembered browsers, and tells its owner. */
export async function removeTotp({ tx, record, mail }: AccountTx, accountId: string): Promise<boolean> {
  const account = await accounts.lock(tx, accountId)
  if (!account || !(await totp.remove(tx, accountId))) return false
  await recoveryCodes.removeAll(tx, accountId)
  await devices.forgetAll(tx, accountId)
  record({ type: 'account.totp_removed', accountId })
  mail({ kind: 'second-factor-changed', to: account.email, accountId, at: new Date().toISOString() })
  return true
}

/** Removes every second factor of an account, as when it goes into other hands. The caller tells its owner. */
export async function removeAll({ tx, record }: Pick<AccountTx, 'tx' | 'record'>, accountId: string): Promise<void> {
  const hadTotp = await totp.remove(tx, accountId)
  await recoveryCodes.removeAll(tx, accountId)
  await devices.forgetAll(tx, accountId)
  if (hadTotp) record({ type: 'account.totp_removed', accountId })
}

/** Replaces the recovery codes of an account, and tells its owner. Returns the new ones, which are not stored. */
export async function renewRecoveryCodes(
  context: AccountTx,
  accountId: string,
  recoveryKey: Secret<Buffer>,
): Promise<string[]> {
  const { tx, record, mail } = context
  const account = await accounts.lock(tx, accountId)
  if (!account) return []
  record({ type: 'account.recovery_codes_renewed', accountId })
  mail({ kind: 'second-factor-changed', to: account.email, accountId, at: new Date().toISOString() })
  return replaceCodes(context, accountId, recoveryKey)
}

/** Accepts a code of the authenticator app of an account, once. */
export async function useTotp(context: AccountTx, accountId: string, code: string): Promise<boolean> {
  if (!(await accepts(context, accountId, { code, isFirst: false }))) return false
  context.record({ type: 'sign_in.second_factor', accountId, details: { method: 'totp' } })
  return true
}

/** Accepts a recovery code of an account, once, and tells its owner. */
export async function useRecoveryCode(
  { tx, record, mail }: AccountTx,
  accountId: string,
  { code, recoveryKey }: { code: string; recoveryKey: Secret<Buffer> },
): Promise<boolean> {
  const account = await accounts.lock(tx, accountId)
  const codeHash = recoveryCodeHash(recoveryKey, { accountId, code })
  if (!account || !(await recoveryCodes.redeem(tx, accountId, codeHash))) return false
  record({ type: 'sign_in.second_factor', accountId, details: { method: 'recovery-code' } })
  mail({ kind: 'recovery-code-used', to: account.email, accountId, at: new Date().toISOString() })
  return true
}

async function accepts(
  { tx, envelope }: AccountTx,
  accountId: string,
  { code, isFirst }: { code: string; isFirst: boolean },
): Promise<boolean> {
  const found = await totp.find(tx, envelope, accountId)
  const step = found && stepOf(found.secret, code, Date.now())
  return step !== undefined && totp.accept(tx, accountId, { step, isFirst })
}

async function replaceCodes({ tx }: AccountTx, accountId: string, recoveryKey: Secret<Buffer>): Promise<string[]> {
  const codes = createRecoveryCodes()
  const hashes = codes.map((code) => recoveryCodeHash(recoveryKey, { accountId, code }))
  await recoveryCodes.replace(tx, accountId, hashes)
  return codes
}

import { type Domains, isAmongDomains } from '../config/domains.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import type { AccountTx } from './acting.ts'

/** The rules of signing up: the people who may create an account, and the domains of their addresses. */
export type SignUpRules = { mode: 'closed' | 'invitation' | 'open'; allowed: Domains; refused: Domains }

/**
 * Returns whether people may choose an address for their account, by its domain alone. Whether it has an account plays no
 * role.
 */
export function isAllowedAddress(email: string, { allowed, refused }: Omit<SignUpRules, 'mode'>): boolean {
  const domain = accounts.canonicalEmail(email).replace(/^.*@/, '')
  return !isAmongDomains(domain, refused) && (allowed.length === 0 || isAmongDomains(domain, allowed))
}

/** An account that does not exist before its address is proven, so that nobody can occupy the address of another. */
export type PendingAccount = {
  profile: Record<string, unknown>
  passwordHash: string
  termsVersion: string | undefined
  /** The time when the person agreed to the terms, as ISO 8601. */
  termsAcceptedAt: string | undefined
}

export type SignUpRequest = {
  email: string
  language: string
  /** The hash of the browser that asks, in base64url. Only there, the code of the mail counts. */
  browserHash: string
  /** The interaction that continues afterwards. */
  interaction: string
  account: PendingAccount
}

/**
 * Sends a mail with a code and a link that prove an address. If the address has an account, the mail says so instead:
 * nobody but its owner learns that.
 */
export function request({ mail, record }: AccountTx, { email, ...letter }: SignUpRequest): void {
  mail({ kind: 'sign-up', to: email, ...letter })
  record({ type: 'sign_up.requested', isByStranger: true })
}

/**
 * Creates the account whose address was proven by a link or a code, in the browser that asked for it.
 *
 * @returns `'gone'` if that was used, has expired or never existed, and `'email-taken'` if the address has got an account
 *   since.
 */
export async function complete(
  { tx, envelope, record }: AccountTx,
  presented: confirmations.Presented,
  browserHash: Buffer,
): Promise<accounts.Account | 'gone' | 'email-taken'> {
  const confirmation = await confirmations.redeem(tx, envelope, presented, { purposes: ['sign-up'], browserHash })
  if (!confirmation) return 'gone'
  const { profile, passwordHash, termsVersion, termsAcceptedAt } = confirmation.data as PendingAccount
  const created = await accounts.create(tx, {
    email: confirmation.email,
    emailVerified: true,
    profile,
    passwordHash,
    terms:
      termsVersion !== undefined && termsAcceptedAt !== undefined
        ? { version: termsVersion, acceptedAt: new Date(termsAcceptedAt) }
        : undefined,
  })
  if (created === 'email-taken') return created
  record({
    type: 'account.signed_up',
    accountId: created.id,
    ...(termsVersion !== undefined && { details: { terms: termsVersion } }),
  })
  return created
}

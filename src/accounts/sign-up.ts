import type { VerifiedPasskey } from '../authentication/passkeys/verification.ts'
import { type Domains, isAmongDomains } from '../config/domains.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as challenges from '../stores/people/challenges.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import * as passkeys from '../stores/people/passkeys.ts'
import type { AccountTx } from './acting.ts'
import { store } from './passkeys.ts'

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
  /** The hash of the password; `undefined` if the person creates a passkey instead, once the address is proven. */
  passwordHash: string | undefined
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

/** A new passkey that was verified, and the browser that its challenge must belong to. */
export type FirstPasskey = { passkey: VerifiedPasskey; belonging: challenges.Belonging; name: string }

/**
 * Creates the account whose address was proven by a link or a code, in the browser that asked for it. An account without a
 * password gets its first passkey at the same time.
 *
 * @returns `'no-passkey'` if the account would have no way in, `'gone'` if that was used, has expired or never existed, and `'email-taken'` if the address has got an account
 *   since.
 */
export async function complete(
  context: AccountTx,
  presented: confirmations.Presented,
  browserHash: Buffer,
  first?: FirstPasskey,
): Promise<accounts.Account | 'gone' | 'email-taken' | 'no-passkey'> {
  const { tx, envelope, record } = context
  const challenge =
    first && (await challenges.redeem(tx, first.passkey.challenge, { ...first.belonging, accountId: undefined }))
  if (first && (!challenge || (await passkeys.findByCredentialId(tx, first.passkey.credentialId)))) return 'no-passkey'
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
  if (first && challenge) await store(context, created.id, { ...first, userHandle: challenge.userHandle })
  else if (passwordHash === undefined) throw new Error('The account would have no way in.')
  record({
    type: 'account.signed_up',
    accountId: created.id,
    ...(termsVersion !== undefined && { details: { terms: termsVersion } }),
  })
  return created
}

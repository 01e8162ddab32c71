import type { LetterKind } from '../../stores/operations/letters.ts'
import { accountDeleted, accountDeletionScheduled, emailChange, emailChanged, invitation } from './account.ts'
import type { Composer } from './context.ts'
import { identityLinked, identityUnlinked } from './identities.ts'
import { passkeyAdded, passkeyRemoved } from './passkeys.ts'
import { recoveryCodeUsed, secondFactorChanged } from './second-factors.ts'
import { newSignIn, passwordChanged, passwordRemoved, passwordReset, signInCode, signUp } from './sign-in.ts'

/** The function that decides what the mail of each kind of letter says. */
export const composers: { [Kind in LetterKind]: Composer<Kind> } = {
  'sign-up': signUp,
  'email-change': emailChange,
  'email-changed': emailChanged,
  'password-reset': passwordReset,
  'password-changed': passwordChanged,
  'password-removed': passwordRemoved,
  'passkey-added': passkeyAdded,
  'passkey-removed': passkeyRemoved,
  'second-factor-changed': secondFactorChanged,
  'recovery-code-used': recoveryCodeUsed,
  'identity-linked': identityLinked,
  'identity-unlinked': identityUnlinked,
  'sign-in-code': signInCode,
  invitation,
  'account-deletion-scheduled': accountDeletionScheduled,
  'account-deleted': accountDeleted,
  'new-sign-in': newSignIn,
  test: () => ({ text: 'test' }),
}

import type { PasswordFlaw } from '../../accounts/password-rules.ts'
import type { Account } from '../account.ts'
import type { Texts } from '../texts/index.ts'

/** The reason why an address was rejected. */
export type ForgotError = keyof Texts['forgot']['errors']

/** The reason why a code was rejected. */
export type CodeError = keyof Texts['code']['errors']

export type ForgotPage = { uid: string; csrf: string; email: string; error: ForgotError | undefined }

export type ForgotSentPage = { uid: string; csrf: string; email: string }

export type CodePage = { uid: string; csrf: string; email: string; error: CodeError | undefined }

/** The reason why a new password was rejected. */
export type NewPasswordError = PasswordFlaw | keyof Texts['newPassword']['errors']

export type NewPasswordPage = {
  /** The address that the form is sent to. */
  action: string
  /** The hidden fields of the form. */
  hidden: Readonly<Record<string, string>>
  /** The reason why the person chooses a password. */
  occasion: keyof Texts['newPassword']['occasions']
  email: string
  minLength: number
  asksForOld: boolean
  /** Whether other sign-ins can be ended along with the change. */
  offersSignOut: boolean
  error: NewPasswordError | undefined
  retryAfterSeconds: number | undefined
}

/** The page for a person whose password is that of a directory. */
export type DirectoryPasswordPage = {
  email: string
  /** The page where they can change it. */
  passwordUrl: string | undefined
  /** Where they came from. */
  back: string
}

export type LinkPage = {
  action: string
  hidden: Readonly<Record<string, string>>
  purpose: keyof Texts['link']['purposes']
  email: string
  /** The account that the link is about, where somebody else may open it. */
  account: Account | undefined
}

/** A link that leads no further. */
export type LinkEndPage = { reason: keyof Texts['linkEnd']['reasons'] }

export type LinkDonePage = {
  outcome: keyof Texts['linkDone']['outcomes']
  email: string
  /** Where the person continues. */
  next: { href: string; kind: keyof Texts['linkDone']['next'] }
}

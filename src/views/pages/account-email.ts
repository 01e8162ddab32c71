import type { Texts } from '../texts/index.ts'

/** The reason why a new address was rejected. */
export type AccountEmailError = keyof Texts['accountEmail']['errors']

export type AccountEmailPage = {
  csrf: string
  email: string
  isVerified: boolean
  /** The new address that waits until its owner opens the link. */
  waiting: string | undefined
  /** The result of the form before. */
  done: keyof Texts['accountEmail']['done'] | undefined
  typed: string
  error: AccountEmailError | undefined
}

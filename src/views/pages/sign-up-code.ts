import type { Texts } from '../texts/index.ts'

/** The reason why the code of a sign-up was rejected. */
export type SignUpCodeError = keyof Texts['signUpCode']['errors']

export type SignUpCodePage = {
  uid: string
  csrf: string
  /** The address that the code was sent to. */
  email: string
  error: SignUpCodeError | undefined
}

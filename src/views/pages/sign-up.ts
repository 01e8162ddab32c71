import type { ShownClient } from '../shown-client.ts'
import type { Texts } from '../texts/index.ts'

/** The reason why a sign-up was rejected. */
export type SignUpError = keyof Texts['signUp']['errors']

export type SignUpPage = {
  uid: string
  csrf: string
  client: ShownClient
  email: string
  name: string
  /** The fewest characters of a password. */
  minLength: number
  /** The page with the terms that have to be accepted, if there are any. */
  termsUrl: string | undefined
  /** The challenge that the browser has to solve, where many accounts were created from the same network. */
  challenge: string | undefined
  /** The seconds to wait instead, without a script. */
  patienceSeconds: number
  passwords: boolean
  offersPasskey: boolean
  error: SignUpError | undefined
}

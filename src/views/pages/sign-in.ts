import type { ShownClient } from '../shown-client.ts'
import type { Texts } from '../texts/index.ts'

/** The reason why a sign-in was rejected. */
export type SignInError = keyof Texts['signIn']['errors']

/** The reason why a person who was signed in has to sign in again. */
export type SignInReason = keyof Texts['signIn']['reasons']

/** The ways on from the sign-in page for a person without their password or an account, by the settings. */
export type SignInOffers = { passwords: boolean; recovery: boolean; code: boolean; signUp: boolean; passkeys: boolean }

export type SignInPage = {
  uid: string
  csrf: string
  client: ShownClient
  email: string
  error: SignInError | undefined
  retryAfterSeconds: number | undefined
  reason: SignInReason | undefined
  offers: SignInOffers
  /** The other providers that people may sign in with. */
  providers: readonly { id: string; name: string; preset: string }[]
  /** Whether a provider decides about the addresses of a domain, so that the address alone may be enough. */
  isPasswordOptional: boolean
  /** A passkey that its authenticator shall forget (WebAuthn Level 3 §5.1.10). */
  unknownPasskey: { rpId: string; credentialId: string } | undefined
  /** Whether the page asks whose computer it is, and whether the person ticked that it is somebody else's. */
  computer: { isAsked: boolean; isOther: boolean }
}

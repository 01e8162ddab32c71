import type { AccountFrame } from './account.ts'
import type { ShownPasskey } from './account-passkeys.ts'

/** What the browser tells the authenticators of the person (WebAuthn Level 3 §5.1.10): the name of the method, and its argument. */
export type Signal = { name: string; value: Record<string, unknown> }

/** A browser that is signed in. */
export type ShownSession = {
  uid: string
  browser: string | undefined
  system: string | undefined
  kind: 'computer' | 'phone'
  isThis: boolean
  signedInAt: Date
  firstAddress: string | undefined
  lastSeenAt: Date
  lastAddress: string | undefined
}

/** An account elsewhere that signs in to this one. */
export type LinkedIdentity = {
  provider: string
  issuer: string
  subject: string
  /** The name of the provider. */
  name: string
  /** The address or name of the person there. */
  about: string | undefined
  lastUsedAt: Date
}

/** A provider where the person may have an account to link. */
export type LinkableProvider = { id: string; name: string }

/** The second step of a sign-in, as its owner sees it. */
export type SecondStep = { hasApp: boolean; recoveryCodes: number; devices: number }

export type AccountSecurityPage = AccountFrame & {
  /** `undefined` where there is no second step. */
  secondStep: SecondStep | undefined
  isVerified: boolean
  linked: readonly LinkedIdentity[]
  linkable: readonly LinkableProvider[]
  /** Whether the account has a password, here or in a directory; `undefined` if passwords are off. */
  password: 'set' | 'none' | 'elsewhere' | undefined
  /** The passkeys of the account; `undefined` if they are off. `signals` keep the authenticators up to date. */
  passkeys: { list: readonly ShownPasskey[]; signals: readonly Signal[] } | undefined
  sessions: readonly ShownSession[]
}

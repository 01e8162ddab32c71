import type { AccountFrame } from './account.ts'

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

export type AccountSecurityPage = AccountFrame & {
  isVerified: boolean
  sessions: readonly ShownSession[]
}

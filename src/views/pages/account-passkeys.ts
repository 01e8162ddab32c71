import type { Texts } from '../texts/index.ts'

/** A passkey as its owner sees it. */
export type ShownPasskey = {
  id: string
  name: string
  createdAt: Date
  lastUsedAt: Date | undefined
  /** Whether it is on all devices of the person, and not on a single one. */
  isSynced: boolean
}

/** The reason why a passkey was not added. */
export type PasskeyAddError = keyof Texts['passkeyAdd']['errors']

export type AccountPasskeyAddPage = {
  csrf: string
  email: string
  device: { browser: string | undefined; system: string | undefined }
  error: PasskeyAddError | undefined
}

export type AccountPasskeyEditPage = {
  csrf: string
  passkey: ShownPasskey
  /** Whether nothing else signs in to the account, so that it stays. */
  isLast: boolean
  zone: string | undefined
}

import type { AccountFrame } from './account.ts'

export type AccountDataPage = AccountFrame & {
  graceDays: number
  /** The terms that the person accepted last. */
  terms: { version: string; acceptedAt: Date } | undefined
}

export type AccountDeletePage = AccountFrame & { day: Date }

/** The page after the deletion of an account was scheduled. Nobody is signed in there. */
export type AccountDeletedPage = { day: Date; zone: string | undefined }

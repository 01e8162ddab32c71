import type { Texts } from '../texts/index.ts'
import type { AccountFrame } from './account.ts'

type Words = Texts['account']['activity']

export type ActivityType = keyof Words['events']

/** Something that happened to the account. */
export type ShownEvent = {
  type: ActivityType
  isByAdministrator: boolean
  at: Date
  address: string | undefined
  app: string | undefined
  device: { browser: string | undefined; system: string | undefined } | undefined
  group: string | undefined
  /** The names of what was changed: a part of the account, or a claim. */
  changed: readonly string[]
}

export type AccountActivityPage = AccountFrame & {
  events: readonly ShownEvent[]
  older: string | undefined
  isFirst: boolean
}

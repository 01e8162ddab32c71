import type { Account } from '../account.ts'
import type { Texts } from '../texts/index.ts'

type Words = Texts['account']

/** The pages that the navigation of an account leads to, in its order. */
export const accountTabs = [
  { name: 'overview', icon: 'person', href: '/account' },
  { name: 'security', icon: 'shield', href: '/account/security' },
  { name: 'apps', icon: 'windows', href: '/account/apps' },
  { name: 'activity', icon: 'clock', href: '/account/activity' },
  { name: 'data', icon: 'download', href: '/account/data' },
] as const satisfies readonly { name: keyof Words['tabs']; icon: string; href: string }[]

/** The path of a page that the navigation leads to. */
export type AccountTab = (typeof accountTabs)[number]['href']

/** Something that the person has just done, and the app that it was about. */
export type AccountNotice = { code: keyof Words['notices']; app?: string | undefined }

/** Everything that the pages of an account have in common. */
export type AccountFrame = {
  csrf: string
  account: Account
  tab: AccountTab
  tabs: typeof accountTabs
  notice: AccountNotice | undefined
  /** The time zone of the person. */
  zone: string | undefined
}

/** A detail of the person. `claim` names it, and is a part of the address where it is `street_address`. */
export type ProfileLabel = keyof Words['profile']['labels']

export type AccountPage = AccountFrame & {
  isVerified: boolean
  details: readonly { label: ProfileLabel; value: string }[]
  canEdit: boolean
  sessions: number
  apps: number
}

import type { ShownClient } from '../shown-client.ts'
import type { ClaimName, ScopeName } from '../texts/index.ts'
import type { AccountFrame } from './account.ts'

/** Permissions of an app. The scopes of APIs have the words of their administrators. */
export type ShownPermissions = {
  scopes: readonly ScopeName[]
  claims: readonly ClaimName[]
  resources: readonly { name: string; scopes: readonly string[] }[]
}

/** An app that has access to the account. */
export type ShownApp = {
  grantId: string
  client: ShownClient
  isFirstParty: boolean
  since: Date
  lastUsedAt: Date | undefined
  granted: ShownPermissions
  denied: ShownPermissions
}

export type AccountAppsPage = AccountFrame & { apps: readonly ShownApp[] }

export type AccountAppRemovePage = AccountFrame & { app: ShownApp }

import type { Account } from '../account.ts'
import type { ShownClient } from '../shown-client.ts'

export type KeepAccountPage = {
  uid: string
  csrf: string
  client: ShownClient
  account: Account
  /** When the account is deleted, unless the person keeps it. */
  day: Date
  zone: string | undefined
}

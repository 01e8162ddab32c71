import type { Account } from '../account.ts'
import type { ShownClient } from '../shown-client.ts'

export type ContinueAsPage = {
  uid: string
  csrf: string
  client: ShownClient
  account: Account
}

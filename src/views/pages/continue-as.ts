import type { Account } from '../account.ts'
import type { Asker } from '../askers.ts'

export type ContinueAsPage = {
  uid: string
  csrf: string
  client: Asker
  account: Account
}

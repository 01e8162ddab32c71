import type { Account } from '../account.ts'
import type { ShownClient } from '../shown-client.ts'

/** Another account of this browser. It is shown even if its session has ended, so that the person signs in again. */
export type OtherAccount = Account & { id: string; isSignedIn: boolean }

export type ContinueAsPage = {
  uid: string
  csrf: string
  client: ShownClient
  /** The account that is signed in, if there is one. */
  account: Account | undefined
  others: readonly OtherAccount[]
}

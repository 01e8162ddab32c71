import type { Account } from '../account.ts'
import type { ShownClient } from '../shown-client.ts'

export type SignOutPage = {
  action: string
  xsrf: string
  client: ShownClient | undefined
  account: Account | undefined
  /** Whether the app's request lacks an address that the person can be led back to. */
  cannotReturn: boolean
}

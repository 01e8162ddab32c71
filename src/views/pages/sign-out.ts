import type { Account } from '../account.ts'
import type { Asker } from '../askers.ts'

export type SignOutPage = {
  action: string
  xsrf: string
  client: Asker | undefined
  account: Account | undefined
  /** Whether the app's request lacks an address that the person can be led back to. */
  cannotReturn: boolean
}

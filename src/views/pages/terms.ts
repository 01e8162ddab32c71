import type { Account } from '../account.ts'
import type { ShownClient } from '../shown-client.ts'

export type TermsPage = {
  uid: string
  csrf: string
  client: ShownClient
  account: Account
  version: string
  /** The page with the terms. */
  termsUrl: string | undefined
  /** Whether the person has not accepted any version yet. */
  isFirst: boolean
}

export type TermsDeclinedPage = { client: ShownClient }

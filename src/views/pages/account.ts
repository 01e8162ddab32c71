import type { Account } from '../account.ts'

export type AccountPage = {
  csrf: string
  account: Account
}

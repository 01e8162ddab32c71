import type { PasskeyAddError } from './account-passkeys.ts'

export type SignUpPasskeyPage = {
  uid: string
  csrf: string
  email: string
  passwords: boolean
  error: PasskeyAddError | undefined
}

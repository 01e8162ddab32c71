import type { Texts } from '../texts/index.ts'
import type { AccountFrame, ProfileLabel } from './account.ts'

/** The reason why a detail was rejected. */
export type ProfileError = keyof Texts['account']['profile']['errors']

/** A field of the profile. With `options`, it is a choice. */
export type ProfileField = {
  name: ProfileLabel
  value: string
  kind: 'text' | 'tel' | 'url' | 'numeric'
  autocomplete: string
  maxLength: number
  hint: keyof Texts['account']['profile']['hints'] | undefined
  options: readonly { value: string; text: string; lang?: string }[] | undefined
  error: ProfileError | undefined
}

export type AccountProfilePage = AccountFrame & {
  hasErrors: boolean
  fields: readonly ProfileField[]
  addressFields: readonly ProfileField[]
}

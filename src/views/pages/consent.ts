import type { Account } from '../account.ts'
import type { Links, ShownClient } from '../shown-client.ts'
import type { ClaimName, ScopeName, Texts } from '../texts/index.ts'

/** The reason why an answer on the consent page was rejected. */
export type ConsentError = keyof Texts['consent']['errors']

/** A value of the person, as the page names and formats it. */
export type ShownValue = { claim: ClaimName; value: string }

/** A checkbox. `values` is the person's own data that ticking it would share. */
export type ConsentItem<Name extends string = string> = {
  name: Name
  values: readonly ShownValue[]
  required: boolean
  checked: boolean
}

/** A scope of an API. Its administrator wrote the title. */
export type ResourceScope = ConsentItem & { title: string }

export type ConsentResource = {
  identifier: string
  name: string
  scopes: readonly ResourceScope[]
}

export type ConsentPage = {
  uid: string
  csrf: string
  client: ShownClient & Links
  account: Account
  /** Whether the person has shared nothing with the app yet, so that there is nothing to go back to the app with. */
  isFirst: boolean
  scopes: readonly ConsentItem<ScopeName>[]
  /** Claims that the app requests by name rather than through a scope. */
  claims: readonly ConsentItem<ClaimName>[]
  resources: readonly ConsentResource[]
  error: ConsentError | undefined
}

import type { Back } from '../back.ts'
import type { OtherAccount } from './continue-as.ts'

export type SignedOutPage = {
  /** Whether the person chose to stay, or signed in again. */
  isSignedIn: boolean
  cannotReturn: boolean
  /** The accounts that are still signed in at this browser. */
  others: readonly OtherAccount[]
  back: Back | undefined
}

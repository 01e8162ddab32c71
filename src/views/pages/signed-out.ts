import type { Back } from '../back.ts'

export type SignedOutPage = {
  /** Whether the person chose to stay, or signed in again. */
  isSignedIn: boolean
  cannotReturn: boolean
  back: Back | undefined
}

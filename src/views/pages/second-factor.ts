import type { Texts } from '../texts/index.ts'

/** A second factor that a person can give. */
export type SecondFactorWay = keyof Texts['secondFactor']['ways']

/** The reason why a second factor was rejected. */
export type SecondFactorError = keyof Texts['secondFactor']['errors']

export type SecondFactorPage = {
  uid: string
  csrf: string
  /** The way that this page asks for, and the others that the person has. */
  way: SecondFactorWay
  others: readonly SecondFactorWay[]
  email: string
  /** The days for which this browser can be remembered; 0 where it cannot. */
  rememberDays: number
  error: SecondFactorError | undefined
  retryAfterSeconds: number | undefined
}

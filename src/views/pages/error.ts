import type { Back } from '../back.ts'
import type { ErrorCode } from '../texts/index.ts'

/** The reason why a request was rejected, and the command that helps if the request is correct. */
export type Explanation = {
  reason: string
  expected?: string | undefined
  received?: string | undefined
  remedy?: string | undefined
}

export type ErrorPage = {
  code: ErrorCode
  /** The id of the request. An administrator finds the reason by it. */
  reference: string | undefined
  /** The reason, if the server runs on the developer's own machine. */
  developer: Explanation | undefined
  /** The OAuth error code and description; shown for `protocol` only. */
  error: string | undefined
  errorDescription: string | undefined
  back: Back | undefined
}

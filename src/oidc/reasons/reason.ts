/** Why a request was refused: what an operator needs to know, and a stranger with the client's name must not be told. */
export type Reason = {
  /** The error code of the answer, such as `invalid_grant`. */
  error: string
  reason: string
  clientId?: string | undefined
  clientName?: string | undefined
  parameter?: string | undefined
  /** What would have been right, and what came. Left out where one of the two is a secret. */
  expected?: string | undefined
  received?: string | undefined
  /** A command that would let the request through. It is for an operator to judge whether it should be. */
  remedy?: string | undefined
}

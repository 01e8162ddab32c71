/**
 * The reason why a request was refused. Operators need it, and a stranger who uses the client's name must not learn it.
 */
export type Reason = {
  /** The error code of the answer, such as `invalid_grant`. */
  error: string
  reason: string
  clientId?: string | undefined
  clientName?: string | undefined
  parameter?: string | undefined
  /** The accepted value, and the one that was sent. Both are left out where one of them is a secret. */
  expected?: string | undefined
  received?: string | undefined
  /** A command that would make the request succeed. The operator judges whether it should. */
  remedy?: string | undefined
}

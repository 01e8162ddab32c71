/**
 * The reason why a client is refused. It travels unchanged from the rule that was broken to the problem details of the
 * admin API, the error of the registration endpoint and the message at the command line.
 */
export type Refusal = {
  /** The wrong member of the metadata, unless the refusal is about the client as a whole. */
  field?: string | undefined
  /** The broken rule of the policy, by its dotted name. */
  rule?: string | undefined
  message: string
}

/** Thrown when a client is refused. The catcher words the refusal for its own answer. */
export class ClientRefused extends Error {
  override name = 'ClientRefused'
  readonly refusal: Refusal

  constructor(refusal: Refusal, options?: { cause?: unknown }) {
    super(refusal.message, options)
    this.refusal = refusal
  }
}

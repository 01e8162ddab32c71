export type SubmittingPage = {
  action: string
  fields: readonly { name: string; value: string }[]
  /** The host that the form is sent to, if it is not this server. */
  host: string | undefined
}

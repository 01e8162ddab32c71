export type ElsewherePage = {
  issuer: string
  /** The host that the request named and how to correct a proxy, in the words that programs get. */
  reason: string
}

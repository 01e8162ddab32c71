/** The host or the protocol of a request that differs from the issuer's. */
export type Mismatch = {
  kind: 'host' | 'protocol'
  received: string
  /** Whether a proxy in front may have replaced the host. */
  isByProxy: boolean
}

export type ElsewherePage = {
  issuer: string
  mismatch: Mismatch
}

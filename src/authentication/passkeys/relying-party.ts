import { COSEALG } from '@simplewebauthn/server/helpers'

/** This deployment as authenticators know it (WebAuthn Level 3 §4, relying party). */
export type RelyingParty = {
  /** The domain that passkeys belong to. They work nowhere else. */
  id: string
  /** The name that people read when they choose a passkey. */
  name: () => string
  /** The only origin whose pages ask for passkeys. */
  origin: string
}

/** The algorithms of the keys, in the order of preference: Ed25519, then what all authenticators can do. */
export const algorithms = [COSEALG.EdDSA, COSEALG.ES256, COSEALG.RS256]

/** Creates the description of this deployment. Without an ID of its own, passkeys belong to the host of the issuer. */
export function relyingPartyFor({
  issuer,
  id = new URL(issuer).hostname,
  name,
}: {
  issuer: string
  id?: string | undefined
  name: () => string
}): RelyingParty {
  return { id, name, origin: new URL(issuer).origin }
}

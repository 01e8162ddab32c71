import { createHash } from 'node:crypto'
import type { JWK } from 'jose'
import type { SigningAlgorithm } from '../../crypto/keys.ts'
import { CKA, CKG, CKM } from './constants.ts'
import type { Attribute, Mechanism } from './pkcs11js.ts'

/** The PKCS #11 equivalent of a JOSE algorithm. */
export type SigningMechanism = {
  keyGeneration: Mechanism
  signature: Mechanism
  /** Returns the input of the mechanism: the data, or its digest. */
  input(data: Buffer): Buffer
  /** Attributes of a new key pair, in addition to those that all have. */
  publicTemplate: Attribute[]
  privateTemplate: Attribute[]
  /** The attributes of a public key, in the order of the parameters of `toJwk`. */
  publicAttributes: number[]
  toJwk(...values: Buffer[]): JWK
}

const rsaPssParameters = 5 // CK_PARAMS_RSA_PSS of pkcs11js, which tells it what to marshal

const rsa = {
  keyGeneration: { mechanism: CKM.RSA_PKCS_KEY_PAIR_GEN },
  input: (data) => data,
  publicTemplate: [
    { type: CKA.MODULUS_BITS, value: 2048 },
    { type: CKA.PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
  ],
  // Otherwise a decryption could produce a signature.
  privateTemplate: [
    { type: CKA.DECRYPT, value: false },
    { type: CKA.UNWRAP, value: false },
  ],
  publicAttributes: [CKA.MODULUS, CKA.PUBLIC_EXPONENT],
  toJwk: (n, e) => ({ kty: 'RSA', n: unsigned(n), e: unsigned(e) }),
} satisfies Omit<SigningMechanism, 'signature'>

/** The algorithms of RFC 7518 §3 and RFC 8037 that PKCS #11 supports. ML-DSA comes only with v3.2. */
export const signingMechanisms: { readonly [alg in SigningAlgorithm]?: SigningMechanism } = {
  RS256: { ...rsa, signature: { mechanism: CKM.SHA256_RSA_PKCS } },
  PS256: {
    ...rsa,
    signature: {
      mechanism: CKM.SHA256_RSA_PKCS_PSS,
      parameter: { type: rsaPssParameters, hashAlg: CKM.SHA256, mgf: CKG.MGF1_SHA256, saltLen: 32 }, // RFC 7518 §3.5
    },
  },
  ES256: {
    keyGeneration: { mechanism: CKM.EC_KEY_PAIR_GEN },
    signature: { mechanism: CKM.ECDSA }, // r followed by s, as in RFC 7518 §3.4
    input: (data) => createHash('sha256').update(data).digest(),
    publicTemplate: [{ type: CKA.EC_PARAMS, value: Buffer.from('06082a8648ce3d030107', 'hex') }], // P-256 (RFC 5480 §2.1.1.1)
    privateTemplate: [],
    publicAttributes: [CKA.EC_POINT],
    toJwk(value) {
      const point = unwrapped(value, 65)
      if (point[0] !== 4) throw new Error('The token returned a P-256 point that is not in the uncompressed form.')
      return { kty: 'EC', crv: 'P-256', x: base64url(point.subarray(1, 33)), y: base64url(point.subarray(33)) }
    },
  },
  EdDSA: {
    keyGeneration: { mechanism: CKM.EC_EDWARDS_KEY_PAIR_GEN },
    signature: { mechanism: CKM.EDDSA },
    input: (data) => data,
    publicTemplate: [{ type: CKA.EC_PARAMS, value: Buffer.from('06032b6570', 'hex') }], // Ed25519 (RFC 8410 §3)
    privateTemplate: [],
    publicAttributes: [CKA.EC_POINT],
    toJwk: (value) => ({ kty: 'OKP', crv: 'Ed25519', x: base64url(unwrapped(value, 32)) }),
  },
}

const base64url = (bytes: Buffer) => bytes.toString('base64url')

/** Encodes an integer without leading zero octets (RFC 7518 §2, Base64urlUInt). */
function unsigned(value: Buffer): string {
  return base64url(value.subarray(value.findIndex((byte) => byte !== 0)))
}

/** Returns a point of `length` bytes. Most tokens wrap it in a DER OCTET STRING, some return it as it is. */
function unwrapped(value: Buffer, length: number): Buffer {
  const isWrapped = value.length === length + 2 && value[0] === 4 && value[1] === length
  const point = isWrapped ? value.subarray(2) : value
  if (point.length !== length)
    throw new Error(`The token returned a point of ${point.length} bytes instead of ${length}.`)
  return point
}

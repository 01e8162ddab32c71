import { createHash } from 'node:crypto'
import type { JWK } from 'jose'
import type { SigningAlgorithm } from '../../crypto/keys.ts'
import { CKA, CKG, CKM } from './constants.ts'
import type { Attribute, Mechanism } from './pkcs11js.ts'

/** How a JOSE algorithm is said in PKCS #11. */
export type SigningMechanism = {
  keyGeneration: Mechanism
  signature: Mechanism
  /** What is handed over to be signed: the data, unless the mechanism takes a digest. */
  input(data: Buffer): Buffer
  /** What a key pair is made with, beside what all have. */
  publicTemplate: Attribute[]
  privateTemplate: Attribute[]
  /** The attributes of a public key, in the order in which `toJwk` takes their values. */
  publicAttributes: number[]
  toJwk(...values: Buffer[]): JWK
}

const rsaPssParameters = 5 // CK_PARAMS_RSA_PSS of pkcs11js, by which it knows what to marshal

const rsa = {
  keyGeneration: { mechanism: CKM.RSA_PKCS_KEY_PAIR_GEN },
  input: (data) => data,
  publicTemplate: [
    { type: CKA.MODULUS_BITS, value: 2048 },
    { type: CKA.PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
  ],
  // What it signs must not be had by asking for a decryption.
  privateTemplate: [
    { type: CKA.DECRYPT, value: false },
    { type: CKA.UNWRAP, value: false },
  ],
  publicAttributes: [CKA.MODULUS, CKA.PUBLIC_EXPONENT],
  toJwk: (n, e) => ({ kty: 'RSA', n: unsigned(n), e: unsigned(e) }),
} satisfies Omit<SigningMechanism, 'signature'>

/** The algorithms of RFC 7518 §3 and RFC 8037 that PKCS #11 has. ML-DSA is not among them before v3.2. */
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
    signature: { mechanism: CKM.ECDSA }, // r and s in a row, as in RFC 7518 §3.4
    input: (data) => createHash('sha256').update(data).digest(),
    publicTemplate: [{ type: CKA.EC_PARAMS, value: Buffer.from('06082a8648ce3d030107', 'hex') }], // P-256 (RFC 5480 §2.1.1.1)
    privateTemplate: [],
    publicAttributes: [CKA.EC_POINT],
    toJwk(value) {
      const point = unwrapped(value, 65)
      if (point[0] !== 4) throw new Error('The token gave a P-256 point in another form than the uncompressed one.')
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

/** An integer without leading zero octets (RFC 7518 §2, Base64urlUInt). */
function unsigned(value: Buffer): string {
  return base64url(value.subarray(value.findIndex((byte) => byte !== 0)))
}

/** A point of `length` bytes, which tokens give as a DER OCTET STRING or, some of them, as it is. */
function unwrapped(value: Buffer, length: number): Buffer {
  const isWrapped = value.length === length + 2 && value[0] === 4 && value[1] === length
  const point = isWrapped ? value.subarray(2) : value
  if (point.length !== length) throw new Error(`The token gave a point of ${point.length} bytes instead of ${length}.`)
  return point
}

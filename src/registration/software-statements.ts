import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
import type { TrustedIssuer } from '../config/index.ts'
import { gathered } from './localized.ts'
import { clientMetadata, type Metadata } from './metadata.ts'
import type { Refusal } from './refusal.ts'

/** The claims of a valid statement; otherwise a refusal, with the error code of RFC 7591 §3.2.2. */
export type Verdict = { claims: JWTPayload } | (Refusal & { error: ErrorCode })

export type VerifyStatement = (statement: string) => Promise<Verdict>

type ErrorCode = 'invalid_software_statement' | 'unapproved_software_statement'

const longestStatementBytes = 16_384
const clockToleranceSeconds = 15

// RFC 7591 §2.3 would allow a MAC too, but then a server that can verify a statement could issue one.
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** The errors that are about the statement, rather than about fetching the keys of its issuer. */
const faults = [
  errors.JWTInvalid,
  errors.JWTExpired,
  errors.JWTClaimValidationFailed,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
]

/**
 * Creates the verifier of software statements (RFC 7591 §2.3). A valid statement is signed by a trusted issuer, has not
 * expired, and, if it has an audience, names one of `audiences`, the names of this server. A statement from an issuer
 * that is not trusted, or for another server, is unapproved. Any other fault makes it invalid.
 *
 * The verifier throws when the keys of a trusted issuer cannot be fetched.
 */
export function createStatementVerifier({
  issuers,
  audiences,
  fetch,
}: {
  issuers: readonly TrustedIssuer[]
  audiences: readonly string[]
  fetch: typeof globalThis.fetch
}): VerifyStatement {
  const keysByIssuer = new Map(issuers.map((trusted) => [trusted.issuer, keysOf(trusted, fetch)]))

  return async (statement) => {
    if (Buffer.byteLength(statement) > longestStatementBytes) return invalid('is too long')
    try {
      const { iss } = decodeJwt(statement)
      if (typeof iss !== 'string') return invalid('has no issuer')
      const keys = keysByIssuer.get(iss)
      if (!keys) return unapproved('is from an issuer that is not trusted here')
      const { payload, protectedHeader } = await verify(statement, keys)
      if (!isOfAnyType(protectedHeader.typ)) return invalid('is a token of another type')
      // RFC 7519 §4.1.3
      const isForUs = payload.aud === undefined || [payload.aud].flat().some((audience) => audiences.includes(audience))
      return isForUs ? { claims: payload } : unapproved('is for another server')
    } catch (error) {
      if (faults.some((fault) => error instanceof fault)) return invalid('is not valid')
      throw error
    }
  }
}

/**
 * Replaces members of client metadata with the claims of a verified statement, even where the statement allows less
 * (RFC 7591 §2.3). Claims that are not client metadata are ignored, and the statement stays as it was presented
 * (§3.2.1).
 */
export function applyStatement(metadata: Metadata, claims: JWTPayload): Metadata {
  const stated = Object.entries(gathered(claims)).filter(([name]) => Object.hasOwn(clientMetadata.shape, name))
  const merged = { ...metadata, ...Object.fromEntries(stated) }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null))
}

function keysOf({ jwks, jwks_uri }: TrustedIssuer, fetch: typeof globalThis.fetch): JWTVerifyGetKey {
  if (jwks_uri !== undefined) return createRemoteJWKSet(new URL(jwks_uri), { [customFetch]: fetch })
  return createLocalJWKSet(jwks ?? { keys: [] })
}

async function verify(statement: string, keys: JWTVerifyGetKey) {
  const options = { algorithms, clockTolerance: clockToleranceSeconds }
  try {
    return await jwtVerify(statement, keys, options)
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    // The statement does not name its key, so it may be any key of the issuer.
    for await (const key of error) {
      try {
        return await jwtVerify(statement, key, options)
      } catch (mismatch) {
        if (!(mismatch instanceof errors.JWSSignatureVerificationFailed)) throw mismatch
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

// RFC 8725 §3.11: a token with the type of something else is rejected. Statements have no type of their own.
const isOfAnyType = (type: unknown) => type === undefined || /^(application\/)?jwt$/i.test(String(type))

const invalid = (fault: string) => refusal('invalid_software_statement', fault)
const unapproved = (fault: string) => refusal('unapproved_software_statement', fault)

function refusal(error: ErrorCode, fault: string): Verdict {
  return { error, field: 'software_statement', rule: 'software_statement', message: `the software_statement ${fault}` }
}

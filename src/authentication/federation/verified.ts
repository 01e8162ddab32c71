import { issuerOf, type Upstream } from './settings.ts'

/** A person as a provider names them, after everything about the answer was verified. */
export type Verified = {
  issuer: string
  subject: string
  claims: Record<string, unknown>
  email: string | undefined
  /** Whether the provider says that the address is theirs. */
  isEmailVerified: boolean
  /** How they signed in there (RFC 8176), if the operator believes the provider. */
  amr: string[]
  /** The session there, if the provider names it. */
  sid: string | undefined
  /** When they signed in there, in seconds since 1970, if the provider says so. */
  signedInAt: number | undefined
}

const longestSubject = 255 // OpenID Connect Core §2
const longestEmail = 320

// The claims that are about the token, not the person.
const aboutToken = [
  'iss',
  'aud',
  'azp',
  'exp',
  'iat',
  'nbf',
  'nonce',
  'at_hash',
  'c_hash',
  's_hash',
  'jti',
  'sid',
  'aio',
  'rh',
  'uti',
  'ver',
]
const mostCharacters = 16_384 // as JSON

/** Returns the person of verified claims. Throws if the provider may not say that. */
export function verifiedOf(upstream: Upstream, claims: Record<string, unknown>): Verified {
  const { sub, email, amr, auth_time } = claims
  if (typeof sub !== 'string' || sub === '' || sub.length > longestSubject) throw new Error('The subject is invalid.')
  const issuer =
    upstream.preset === 'microsoft' ? tenantIssuer(upstream, claims) : String(claims['iss'] ?? issuerOf(upstream))
  const shown = Object.fromEntries(Object.entries(claims).filter(([name]) => !aboutToken.includes(name)))
  const address = typeof email === 'string' && email.length <= longestEmail ? email : undefined
  const isOfMicrosoft = upstream.preset === 'microsoft'
  return {
    issuer,
    subject: sub,
    claims: JSON.stringify(shown).length <= mostCharacters ? shown : {},
    email: address,
    // Anybody can give a tenant at Microsoft any address. Only this claim says that its domain was verified.
    isEmailVerified: isTrue(isOfMicrosoft ? claims['xms_edov'] : claims['email_verified']),
    amr: upstream.settings.trusts_methods && isListOfText(amr) ? amr.slice(0, 10) : [],
    sid: typeof claims['sid'] === 'string' && claims['sid'].length <= longestSubject ? claims['sid'] : undefined,
    signedInAt: typeof auth_time === 'number' ? auth_time : undefined,
  }
}

// Apple sends it as text, and Microsoft as a number.
const isTrue = (value: unknown) => value === true || value === 'true' || value === 1 || value === '1'
const isListOfText = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string' && /^[\w:.-]{1,50}$/.test(item))

/** Returns the issuer of the tenant of a person at Microsoft, if people of that tenant may sign in. */
function tenantIssuer({ settings }: Upstream, { tid, iss }: Record<string, unknown>): string {
  if (typeof tid !== 'string' || !/^[0-9a-f-]{36}$/.test(tid)) throw new Error('The ID token names no tenant.')
  const issuer = `https://login.microsoftonline.com/${tid}/v2.0`
  if (iss !== issuer) throw new Error('The ID token is of another tenant than it says.')
  const { allowed_tenants: allowed } = settings
  if (allowed.length > 0 && !allowed.includes(tid)) throw new Error(`The tenant ${tid} is not allowed.`)
  return issuer
}

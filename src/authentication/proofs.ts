/** The methods of RFC 8176 that each kind of proof stands for. */
const references = {
  password: ['pwd'],
  /** A code or link that was mailed. RFC 8176 §2 has no value for mail; it is a one-time password in its sense. */
  mail: ['otp'],
  totp: ['otp'],
  'recovery-code': ['otp'],
  passkey: ['pop', 'user'],
  upstream: [],
  /** A browser where a second factor was given some days ago, which the person asked to remember. */
  'remembered-device': [],
  /** The time that a person has to set up a required second factor. */
  grace: [],
} as const satisfies Record<string, readonly string[]>

export type Method = keyof typeof references

/** A proof that a person gave: how and when. */
export type Proof = {
  method: Method
  /** In seconds since 1970. */
  at: number
  /** Until when it counts, for what stands in for a proof. In seconds since 1970. */
  until?: number
  /** Whether a passkey also verified the person, by a PIN or a biometric. */
  isUserVerified?: boolean
  /** The upstream provider, and the session there, whose end ends the session here. */
  provider?: string
  sid?: string
  /** The methods that a trusted upstream provider names (RFC 8176). */
  amr?: string[]
  /** Whether a trusted upstream provider says that it asked for two factors. */
  isTwoFactor?: boolean
}

/**
 * How hard it is to sign in as somebody else, the easiest first: by reading their mail; by one factor; by that and their
 * mail; by two factors; by a factor that cannot be phished.
 */
export const strengths = ['mail', 'single', 'two-step', 'two-factor', 'phishing-resistant'] as const
export type Strength = (typeof strengths)[number]

/** Several proofs that together have a strength. */
export type Counted = { strength: Strength; proofs: Proof[] }

const firsts: readonly Method[] = ['password', 'upstream']

/** Returns the proof that somebody has just made by a method. */
export function proofBy(method: Method): Proof {
  return { method, at: Math.floor(Date.now() / 1000) }
}

/** Returns `proofs` with one more, which replaces an older one of the same method. */
export function withProof(proofs: readonly Proof[], proof: Proof): Proof[] {
  return [...proofs.filter(({ method }) => method !== proof.method), proof]
}

/** Returns every combination of proofs that has a strength, the strongest first, and of equals the most recent. */
function combinations(proofs: readonly Proof[]): Counted[] {
  const of = (...methods: Method[]) => proofs.filter(({ method }) => methods.includes(method))
  const alone = (strength: Strength, ones: Proof[]) => ones.map((one): Counted => ({ strength, proofs: [one] }))
  const together = (strength: Strength, ones: Proof[], others: Proof[]) =>
    ones.flatMap((one) => others.map((other): Counted => ({ strength, proofs: [one, other] })))
  const found = [
    ...alone('mail', of('mail')),
    ...alone('single', of(...firsts)),
    ...together('two-step', of(...firsts), of('mail')),
    ...together('two-step', of('mail'), of('totp', 'recovery-code')),
    ...alone(
      'two-factor',
      of('upstream').filter(({ isTwoFactor }) => isTwoFactor),
    ),
    ...together('two-factor', of(...firsts), of('totp', 'recovery-code')),
    ...together('phishing-resistant', of(...firsts), of('passkey')),
    ...alone(
      'phishing-resistant',
      of('passkey').filter(({ isUserVerified }) => isUserVerified),
    ),
  ]
  return found.sort((a, b) => rankOf(b.strength) - rankOf(a.strength) || madeAt(b.proofs) - madeAt(a.proofs))
}

/** Returns the place of a strength in the order of strengths. */
export const rankOf = (strength: Strength): number => strengths.indexOf(strength)

/** Returns when the oldest of these proofs was made, in seconds since 1970. */
export const madeAt = (proofs: readonly Proof[]): number => Math.min(...proofs.map(({ at }) => at))

/** Returns the strongest combination of proofs; `undefined` if they do not suffice to sign in at all. */
export function strongest(proofs: readonly Proof[]): Counted | undefined {
  return combinations(proofs)[0]
}

/** Returns whether some of these proofs, none of them made before `since`, have a strength. */
export function reaches(proofs: readonly Proof[], strength: Strength, { since = 0 }: { since?: number } = {}): boolean {
  const counted = strongest(proofs.filter(({ at }) => at >= since))
  return counted !== undefined && rankOf(counted.strength) >= rankOf(strength)
}

/** Returns whether a first factor is there and stands in for a second one in the eyes of the operator, not of an app. */
export function isExcused(proofs: readonly Proof[]): boolean {
  const has = (methods: readonly Method[]) => proofs.some(({ method }) => methods.includes(method))
  return has([...firsts, 'mail']) && has(['remembered-device', 'grace'])
}

/** Returns the authentication methods of proofs (RFC 8176), which an ID token lists as `amr`. */
export function methodReferences({ strength, proofs }: Counted): string[] {
  const names = proofs.flatMap(({ method, amr = [] }) => [...references[method], ...amr])
  const isMultiple = rankOf(strength) >= rankOf('two-factor')
  return [...new Set([...names, ...(isMultiple ? ['mfa'] : [])])]
}

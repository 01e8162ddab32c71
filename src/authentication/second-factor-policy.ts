import type { Factors } from '../stores/people/factors.ts'
import { type Level, satisfies } from './levels.ts'
import { isExcused, type Method, type Proof, reaches, withProof } from './proofs.ts'

/** The rules of the operator about second factors. */
export type SecondFactorRules = {
  mode: 'off' | 'optional' | 'required'
  /** The groups whose members need one, whatever the mode. */
  groups: readonly string[]
  /** Whether a code by mail counts as one. */
  countsMail: boolean
  offersPasskeys: boolean
}

/** The demands of one authorization request on a sign-in. */
export type Demand = {
  /** Lists of levels that the app needs. Of each list, any level is enough; no level is enough for an empty list. */
  needs: readonly (readonly Level[])[]
  /** The app prefers one of these levels. */
  prefers: readonly Level[]
  /** Proofs that are older do not count, in seconds since 1970. */
  since: number
}

/** The next step of a sign-in. */
export type Decision =
  | { step: 'done' }
  /** The person has to begin with a first factor. */
  | { step: 'sign-in' }
  /** Each of these ways is enough. */
  | { step: 'second-factor'; ways: Method[] }
  /** The person has to set up one of these. */
  | { step: 'enrol'; ways: Method[]; canWait: boolean }
  /** Nothing that the person can do is enough for the app. */
  | { step: 'unattainable' }

const firsts: readonly Method[] = ['password', 'upstream', 'mail']

/** Returns the proofs that count: a code by mail is a second factor only where the operator says so. */
export function counting(proofs: readonly Proof[], { countsMail }: { countsMail: boolean }): readonly Proof[] {
  const hasFirst = proofs.some(({ method }) => method === 'password' || method === 'upstream')
  return countsMail || !hasFirst ? proofs : proofs.filter(({ method }) => method !== 'mail')
}

/** Returns whether the operator requires a second factor of a person. Those who set up an app for codes are always asked. */
export function isRequired(
  { mode, groups }: Pick<SecondFactorRules, 'mode' | 'groups'>,
  person: { groups: readonly string[]; hasTotp: boolean },
): boolean {
  if (person.groups.some((group) => groups.includes(group)) || mode === 'required') return true
  return mode === 'optional' && person.hasTotp
}

/** Returns the proofs that are not too old for a request. */
export function current(
  proofs: readonly Proof[],
  { since, nowSeconds }: { since: number; nowSeconds: number },
): Proof[] {
  return proofs.filter(({ at, until }) => (until === undefined ? at >= since : until > nowSeconds))
}

/** Decides what is missing for a sign-in to be finished. */
export function decide({
  proofs: all,
  demand: { needs, prefers, since },
  rules,
  factors,
  groups,
  nowSeconds,
}: {
  proofs: readonly Proof[]
  demand: Demand
  rules: SecondFactorRules
  factors: Factors
  groups: readonly string[]
  nowSeconds: number
}): Decision {
  const proofs = current(all, { since, nowSeconds })
  const isSecondNeeded = isRequired(rules, { groups, hasTotp: factors.hasTotp })
  const hasOneOf = (counted: readonly Proof[], levels: readonly Level[]) =>
    levels.some((level) => satisfies(counted, level, nowSeconds))
  const isEnough = (tried: readonly Proof[], with_: { preference: boolean }) => {
    const counted = counting(tried, rules)
    const isOperatorContent =
      reaches(counted, isSecondNeeded ? 'two-step' : 'mail') || (isSecondNeeded && isExcused(counted))
    return (
      isOperatorContent &&
      needs.every((levels) => hasOneOf(counted, levels)) &&
      (!with_.preference || prefers.length === 0 || hasOneOf(counted, prefers))
    )
  }
  const sufficient = (methods: readonly Method[], with_: { preference: boolean }) =>
    methods.filter((method) => isEnough(withProof(proofs, { method, at: nowSeconds, isUserVerified: true }), with_))
  const own = ownSecondFactors(factors, rules)

  if (!proofs.some(({ method, isUserVerified }) => firsts.includes(method) || isUserVerified))
    return { step: 'sign-in' }
  for (const preference of [true, false]) {
    if (isEnough(proofs, { preference })) return { step: 'done' }
    const ways = sufficient(own, { preference })
    if (ways.length > 0) return { step: 'second-factor', ways }
    const isPasswordEnough = sufficient(factors.hasPassword ? ['password'] : [], { preference }).length > 0
    if (isPasswordEnough) return { step: 'sign-in' }
  }

  const ways = sufficient(enrolable(rules), { preference: false })
  if (ways.length === 0) return { step: 'unattainable' }
  // An account that has a second factor gives it first. Otherwise its password alone would be enough to add another one.
  const given = own.filter((method) => reaches(withProof(proofs, { method, at: nowSeconds }), 'two-step'))
  if (given.length > 0 && !reaches(proofs, 'two-step')) return { step: 'second-factor', ways: given }
  const isAppContent = needs.every((levels) => hasOneOf(counting(proofs, rules), levels))
  const hasTime = factors.graceEndsAt === undefined || nowSeconds * 1000 < factors.graceEndsAt.getTime()
  return { step: 'enrol', ways, canWait: isAppContent && hasTime }
}

/** Returns the second factors of an account, the preferred one first. */
function ownSecondFactors(factors: Factors, { countsMail, offersPasskeys }: SecondFactorRules): Method[] {
  return [
    ...(factors.hasPasskey && offersPasskeys ? (['passkey'] as const) : []),
    ...(factors.hasTotp ? (['totp'] as const) : []),
    ...(factors.recoveryCodes > 0 ? (['recovery-code'] as const) : []),
    ...(countsMail ? (['mail'] as const) : []),
  ]
}

/** Returns the factors that a person can set up while they sign in. Passkeys are added to an account at its own pages. */
function enrolable({ mode, groups }: SecondFactorRules): Method[] {
  return mode !== 'off' || groups.length > 0 ? ['totp'] : []
}

import { type Level, satisfies } from './levels.ts'
import { isExcused, type Method, type Proof, reaches, withProof } from './proofs.ts'

/** The factors that an account has. */
export type Factors = {
  hasPassword: boolean
  hasTotp: boolean
  hasPasskey: boolean
  recoveryCodes: number
  /** Until when the account may go without a second factor that is required of it. */
  graceEndsAt: Date | undefined
}

/** The rules of the operator about second factors. */
export type SecondFactorRules = {
  mode: 'off' | 'optional' | 'required'
  /** The groups whose members need one, whatever the mode. */
  groups: readonly string[]
  /** Whether a code by mail counts as one. */
  countsMail: boolean
  offersPasskeys: boolean
}

/** What one authorization request demands of a sign-in. */
export type Demand = {
  /** The levels that the app asks for, in order of preference. Any of them is enough. */
  levels: readonly Level[]
  /** Whether the app needs one of them, or only prefers it. */
  isEssential: boolean
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

/** Decides what is missing for a sign-in to be finished. */
export function decide({
  proofs: all,
  demand,
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
  const isWaiver = ({ method }: Proof) => method === 'remembered-device' || method === 'grace'
  const proofs = all.filter((proof) => proof.at >= demand.since || isWaiver(proof))
  const needsSecond = isRequired(rules, { groups, hasTotp: factors.hasTotp })
  const isEnough = (tried: readonly Proof[], { isAppHeard }: { isAppHeard: boolean }) => {
    const counted = counting(tried, rules)
    const isOperatorContent = reaches(counted, needsSecond ? 'two-step' : 'mail') || (needsSecond && isExcused(counted))
    const isAppContent = demand.levels.length === 0 || demand.levels.some((level) => satisfies(counted, level, nowSeconds))
    return isOperatorContent && (isAppContent || !isAppHeard)
  }
  const among = (methods: readonly Method[], needs: { isAppHeard: boolean }) =>
    methods.filter((method) => isEnough(withProof(proofs, { method, at: nowSeconds, isUserVerified: true }), needs))

  if (isEnough(proofs, { isAppHeard: true })) return { step: 'done' }
  if (!proofs.some(({ method, isUserVerified }) => firsts.includes(method) || isUserVerified)) return { step: 'sign-in' }

  const own = ownSecondFactors(factors, rules)
  const ways = among(own, { isAppHeard: true })
  if (ways.length > 0) return { step: 'second-factor', ways }

  const possible = enrolable(rules)
  const enrol = (kinds: Method[], canWait: boolean): Decision => {
    // Else somebody who knows the password alone could add a factor of their own.
    const given = own.filter((method) => reaches(withProof(proofs, { method, at: nowSeconds }), 'two-step'))
    const isGiven = reaches(proofs, 'two-step') || given.length === 0
    return isGiven ? { step: 'enrol', ways: kinds, canWait } : { step: 'second-factor', ways: given }
  }
  if (demand.isEssential) {
    if (factors.hasPassword && among(['password'], { isAppHeard: true }).length > 0) return { step: 'sign-in' }
    const kinds = among(possible, { isAppHeard: true })
    return kinds.length > 0 ? enrol(kinds, false) : { step: 'unattainable' }
  }

  // The app only prefers what cannot be had.
  if (isEnough(proofs, { isAppHeard: false })) return { step: 'done' }
  const others = among(own, { isAppHeard: false })
  if (others.length > 0) return { step: 'second-factor', ways: others }
  const kinds = among(possible, { isAppHeard: false })
  const canWait = factors.graceEndsAt === undefined || nowSeconds * 1000 < factors.graceEndsAt.getTime()
  return kinds.length > 0 ? enrol(kinds, canWait) : { step: 'unattainable' }
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

/** Returns the factors that a person can set up while they sign in. */
function enrolable({ mode, groups, offersPasskeys }: SecondFactorRules): Method[] {
  const isOn = mode !== 'off' || groups.length > 0
  return [...(offersPasskeys ? (['passkey'] as const) : []), ...(isOn ? (['totp'] as const) : [])]
}

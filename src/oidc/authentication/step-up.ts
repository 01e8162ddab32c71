import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import type { Level } from '../../authentication/levels.ts'
import { decide, type SecondFactorRules } from '../../authentication/second-factor-policy.ts'
import type { Factors } from '../../stores/people/factors.ts'
import { current } from '../request/work.ts'
import { demandOf } from './demands.ts'
import { proofsOf } from './session-proofs.ts'

/** The reason of the login prompt for a person whose sign-in is too weak for the request. */
export const tooWeak = 'sign_in_too_weak'

/** Finds the factors of an account. */
export type FindFactors = (accountId: string) => Promise<Factors>

const noFactors: Factors = {
  hasPassword: false,
  hasTotp: false,
  hasPasskey: false,
  recoveryCodes: 0,
  graceEndsAt: undefined,
}

/**
 * Creates the check whether a person who is signed in has to prove more: the operator requires a second factor of
 * them, or the app asks for a level that they have not reached and could.
 */
export function stepUpCheck({
  levels,
  rules,
  findFactors,
}: {
  levels: readonly Level[]
  rules: SecondFactorRules
  findFactors: FindFactors
}): interactionPolicy.Check {
  const isTooWeak = async ({ oidc }: KoaContextWithOIDC) => {
    const { accountId } = oidc.session ?? {}
    const account = accountId === undefined ? undefined : current()?.reads.accounts.get(accountId)
    if (!account || !oidc.session) return false
    const { needs, prefers } = demandOf(oidc.params ?? {}, oidc.client, levels)
    const request = {
      proofs: proofsOf(oidc.session as Parameters<typeof proofsOf>[0]),
      rules,
      groups: account.groups,
      nowSeconds: Math.floor(Date.now() / 1000),
    }
    // Most requests are content with the sign-in as it is, whatever other factors the account has. These need no query.
    const strictest = { needs: prefers.length > 0 ? [...needs, prefers] : needs, prefers: [], since: 0 }
    if (decide({ ...request, demand: strictest, factors: noFactors }).step === 'done') return false
    const demand = { needs, prefers, since: 0 }
    return decide({ ...request, demand, factors: await findFactors(account.id) }).step !== 'done'
  }
  return new interactionPolicy.Check(tooWeak, 'a stronger sign-in is required', 'login_required', isTooWeak)
}

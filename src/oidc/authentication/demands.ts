import type { Client } from 'oidc-provider'
import type { Level } from '../../authentication/levels.ts'
import { rankOf } from '../../authentication/proofs.ts'
import type { Demand } from '../../authentication/second-factor-policy.ts'

type Params = Record<string, unknown>

/** The authentication context classes that a request names, in order of preference. */
export type Asked = { acrs: readonly string[]; isEssential: boolean }

/**
 * Returns the classes that a request asks for: essential ones by the claims parameter, others by that parameter or by
 * `acr_values` (OpenID Connect Core §3.1.2.1, §5.5.1.1). Essential ones are the only ones that count.
 */
export function askedOf(params: Params): Asked {
  const claim = acrClaim(params['claims'])
  const values = [claim['value'], ...[claim['values']].flat()].filter((value) => typeof value === 'string')
  const preferred = typeof params['acr_values'] === 'string' ? params['acr_values'].split(' ').filter(Boolean) : []
  if (claim['essential'] === true && values.length > 0) return { acrs: values, isEssential: true }
  return { acrs: [...values, ...preferred], isEssential: false }
}

/** Returns what a request demands of a sign-in, apart from its age. An app may also be registered with `minimum_acr`. */
export function demandOf(params: Params, client: Client | undefined, levels: readonly Level[]): Omit<Demand, 'since'> {
  const { acrs, isEssential } = askedOf(params)
  const named = levels.filter(({ acr }) => acrs.includes(acr))
  const minimum = client?.['minimum_acr']
  const least = levels.find(({ acr }) => acr === minimum)
  const high = levels.filter(({ strength }) => least !== undefined && rankOf(strength) >= rankOf(least.strength))
  return {
    needs: [...(isEssential ? [named] : []), ...(minimum === undefined ? [] : [high])],
    prefers: isEssential ? [] : named,
  }
}

function acrClaim(claims: unknown): Params {
  if (typeof claims !== 'string') return {}
  const { id_token } = JSON.parse(claims) as { id_token?: { acr?: Params | null } | null } // the engine has checked it
  return id_token?.acr ?? {}
}

import type { Mapping } from './settings.ts'

type Claims = Readonly<Record<string, unknown>>

const usual = ['name', 'given_name', 'family_name', 'preferred_username', 'locale', 'zoneinfo'] as const
const longest = 200

/** Returns the claims that a new account takes over from a provider when no rule says otherwise. */
export function usualClaims(claims: Claims): Record<string, unknown> {
  return Object.fromEntries(
    usual.flatMap((name) => {
      const { [name]: value } = claims
      return typeof value === 'string' && value.trim() !== '' ? [[name, value.slice(0, longest)]] : []
    }),
  )
}

/** Returns the claims of an account that the rules make of the claims of a provider. A claim that is missing there stays. */
export function mapped(rules: Mapping, claims: Claims): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(rules).flatMap(([name, rule]) => {
      const { from, values } = typeof rule === 'string' ? { from: rule, values: undefined } : rule
      const found = valueAt(claims, from)
      if (found === undefined) return []
      return [[name, values === undefined ? found : translated(found, values)]]
    }),
  )
}

/** Returns a claim by its name, or by a path of names. A claim whose own name has a dot comes first. */
function valueAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  return path.split('.').reduce<unknown>((value, name) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    return (value as Claims)[name]
  }, claims)
}

/** Replaces values by those of a table. A value that the table lacks is left out, so that a provider cannot add a group. */
function translated(value: unknown, values: Record<string, string>): unknown {
  const one = (text: unknown) => (typeof text === 'string' && Object.hasOwn(values, text) ? [values[text]] : [])
  return Array.isArray(value) ? value.flatMap(one) : one(value)[0]
}

import { type PolicyRules, reservedPrefix } from './rules.ts'

/** Whether a client may ask for any scope but those of the admin API. */
export function allowsAny({ scopes }: PolicyRules): boolean {
  return scopes === '*' || scopes.includes('*')
}

/**
 * The `scope` of a client that is registered without one, if any. Those of the admin API are not in it: nobody gets them
 * without asking.
 */
export function defaultScope(rules: PolicyRules): string | undefined {
  if (allowsAny(rules)) return undefined
  const names = [rules.scopes].flat().filter((name) => !name.startsWith(reservedPrefix))
  return names.length > 0 ? names.join(' ') : undefined
}

/** Whether a client may ask for a scope. `openScopes` are those that are not of an API. */
export function allows(
  rules: PolicyRules,
  name: string,
  { isMachine, openScopes }: { isMachine: boolean; openScopes: readonly string[] },
): boolean {
  const listed = [rules.scopes].flat()
  if (name.startsWith(reservedPrefix)) return listed.includes(name) || listed.includes(`${reservedPrefix}*`)
  if (name !== '*' && listed.includes(name)) return true
  // With client_credentials nobody consents, so a client would give itself access to an API.
  return allowsAny(rules) && (!isMachine || rules.administrative || openScopes.includes(name))
}

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

/**
 * Whether a client may ask for a scope. `openScopes` are those that are not of an API. Those of the admin API are given
 * by name, by an administrator: no policy, whoever may set it, lets a client take them by its own word.
 */
export function allows(
  rules: PolicyRules,
  name: string,
  {
    isMachine,
    openScopes,
    isOwnWord = false,
  }: { isMachine: boolean; openScopes: readonly string[]; isOwnWord?: boolean },
): boolean {
  const listed = [rules.scopes].flat()
  if (name.startsWith(reservedPrefix) && isOwnWord) return false
  if (name.startsWith(reservedPrefix)) return listed.includes(name) || listed.includes(`${reservedPrefix}*`)
  // With client_credentials nobody consents, so a client would give itself access to an API. For that a policy lists
  // both, scope and resource: a name alone is of any API that has it.
  const isAllowedToMachines = rules.administrative || openScopes.includes(name) || rules.resources !== '*'
  if (name !== '*' && listed.includes(name)) return !isMachine || isAllowedToMachines
  return allowsAny(rules) && (!isMachine || rules.administrative || openScopes.includes(name))
}

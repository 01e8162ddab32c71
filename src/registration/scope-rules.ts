import { type PolicyRules, reservedPrefix } from './rules.ts'

/** Says whether a client may ask for any scope but those of the admin API. */
export function allowsAny({ scopes }: PolicyRules): boolean {
  return scopes === '*' || scopes.includes('*')
}

/**
 * Returns the default `scope` of a client, if the policy has one. The scopes of the admin API are not in it: no client
 * gets them without asking.
 */
export function defaultScope(rules: PolicyRules): string | undefined {
  if (allowsAny(rules)) return undefined
  const names = [rules.scopes].flat().filter((name) => !name.startsWith(reservedPrefix))
  return names.length > 0 ? names.join(' ') : undefined
}

/**
 * Says whether a client may ask for a scope. `openScopes` are those that belong to no API. Only an administrator gives
 * out the scopes of the admin API, by name: no policy lets a client give them to itself.
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
  // With client_credentials nobody consents, so a client would give itself access to an API. The policy therefore has
  // to list both scope and resource: the name of a scope alone stands for every API that has it.
  const isAllowedToMachines = rules.administrative || openScopes.includes(name) || rules.resources !== '*'
  if (name !== '*' && listed.includes(name)) return !isMachine || isAllowedToMachines
  return allowsAny(rules) && (!isMachine || rules.administrative || openScopes.includes(name))
}

import type { Circumstances } from '../../registration/policy.ts'
import type { Policy } from '../../registration/rules.ts'
import type { Storage } from '../request/storage.ts'
import { scopes } from '../scopes.ts'

/** Returns the circumstances under which a policy judges metadata that a client gives itself, or an administrator for it. */
export function circumstancesOf(
  { issuer }: Storage,
  policy: Policy,
  { isOwnWord }: { isOwnWord: boolean },
): Circumstances {
  return { policy, isLoopbackIssuer: issuer.startsWith('http:'), openScopes: Object.keys(scopes), isOwnWord }
}

import type { Circumstances } from '../../registration/policy.ts'
import type { Policy } from '../../registration/rules.ts'
import type { Storage } from '../request/storage.ts'
import { scopes } from '../scopes.ts'

/** Collects the facts that a policy needs to judge metadata. `isOwnWord` is for metadata that the client gives itself. */
export function circumstancesOf(
  { issuer }: Storage,
  policy: Policy,
  { isOwnWord }: { isOwnWord: boolean },
): Circumstances {
  return { policy, isLoopbackIssuer: issuer.startsWith('http:'), openScopes: Object.keys(scopes), isOwnWord }
}

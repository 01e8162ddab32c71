import type { Circumstances } from '../../registration/policy.ts'
import type { Policy } from '../../registration/rules.ts'
import type { Storage } from '../request/storage.ts'
import { scopes } from '../scopes.ts'

/** Collects the facts with which a policy judges metadata, given by a client itself or by an administrator for it. */
export function circumstancesOf(
  { issuer }: Storage,
  policy: Policy,
  { isOwnWord }: { isOwnWord: boolean },
): Circumstances {
  return { policy, isLoopbackIssuer: issuer.startsWith('http:'), openScopes: Object.keys(scopes), isOwnWord }
}

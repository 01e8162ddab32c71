import type { Operation } from '../operation.ts'
import * as accounts from './accounts.ts'
import * as audit from './audit.ts'
import * as clientSecrets from './client-secrets.ts'
import * as clients from './clients.ts'
import * as grants from './grants.ts'
import * as keys from './keys.ts'
import * as refusedRequests from './refused-requests.ts'
import * as registrationPolicies from './registration-policies.ts'
import * as registrationTokens from './registration-tokens.ts'
import * as resources from './resources.ts'

/** Everything an operator can do, in the order it is listed. */
export function operations(): Operation[] {
  return [
    ...accounts.operations(),
    ...clients.operations(),
    ...clientSecrets.operations(),
    ...resources.operations(),
    ...registrationPolicies.operations(),
    ...registrationTokens.operations(),
    ...grants.operations(),
    ...keys.operations(),
    ...audit.operations(),
    ...refusedRequests.operations(),
  ]
}

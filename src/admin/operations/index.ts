import type { Operation } from '../operation.ts'
import * as accountAccess from './account-access.ts'
import { importAccounts } from './account-import.ts'
import * as accountInvitations from './account-invitations.ts'
import * as accounts from './accounts.ts'
import * as audit from './audit.ts'
import * as clientSecrets from './client-secrets.ts'
import * as clients from './clients.ts'
import * as grants from './grants.ts'
import * as groups from './groups.ts'
import * as keys from './keys.ts'
import * as mail from './mail.ts'
import * as refusedRequests from './refused-requests.ts'
import * as registrationPolicies from './registration-policies.ts'
import * as registrationTokens from './registration-tokens.ts'
import * as resources from './resources.ts'
import * as upstreamProviders from './upstream-providers.ts'

/** Lists everything that an administrator can do, in the order of the command line's overview. */
export function operations(): Operation[] {
  return [
    ...accounts.operations(),
    ...accountAccess.operations(),
    ...accountInvitations.operations(),
    importAccounts(),
    ...groups.operations(),
    ...clients.operations(),
    ...clientSecrets.operations(),
    ...resources.operations(),
    ...registrationPolicies.operations(),
    ...registrationTokens.operations(),
    ...upstreamProviders.operations(),
    ...grants.operations(),
    ...keys.operations(),
    ...mail.operations(),
    ...audit.operations(),
    ...refusedRequests.operations(),
  ]
}

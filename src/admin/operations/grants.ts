import { z } from 'zod'
import * as access from '../../accounts/access.ts'
import { type GrantPayload, permissionsOf } from '../../oidc/consent/decision.ts'
import * as grants from '../../stores/protocol/grants.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'

const shownGrant = z.object({
  id: z.string(),
  account_id: z.string(),
  client_id: z.string(),
  scopes: z.array(z.string()),
  claims: z.array(z.string()),
  resources: z.record(z.string(), z.array(z.string())),
  created_at: z.string(),
  expires_at: z.string(),
})

/** Lists the operations on grants, which record what people consented to. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'grant',
      verb: 'list',
      summary: 'List what people granted to clients, oldest first',
      scope: 'postern:accounts:read',
      http: { method: 'GET', path: '/grants' },
      input: z.strictObject({
        account_id: z.string().optional().describe('Only grants of this account.'),
        client_id: z.string().optional().describe('Only grants to this client.'),
        ...listInput,
      }),
      output: listOutput(shownGrant),
      run: ({ tx, storage }, { account_id: accountId, client_id: clientId, cursor, limit }) =>
        page(storage.envelope, {
          list: `grants:${JSON.stringify([accountId, clientId])}`,
          cursor,
          limit,
          read: (options) => grants.list(tx, { accountId, clientId, ...options }),
          positionOf: ({ createdAt, id }) => ({ at: createdAt, id }),
          show: (grant) => {
            const { granted } = permissionsOf(grant.payload as GrantPayload)
            return {
              id: grant.id,
              account_id: grant.accountId,
              client_id: grant.clientId,
              ...granted,
              created_at: grant.createdAt.toISOString(),
              expires_at: new Date(grant.expiresAtSeconds * 1000).toISOString(),
            }
          },
        }),
    }),

    operation({
      noun: 'grant',
      verb: 'revoke',
      summary: 'Revoke a grant and everything issued under it',
      scope: 'postern:accounts',
      http: { method: 'DELETE', path: '/grants/{id}', status: 204 },
      isDestructive: true,
      input: z.strictObject({ id: z.string().min(1).describe('The ID of the grant.') }),
      output: z.object({ id: z.string(), revoked: z.literal(true) }),
      async run(context, { id }) {
        if (!(await access.revokeGrant(context, id))) throw new OperationError('not-found', `There is no grant ${id}.`)
        return { id, revoked: true as const }
      },
    }),
  ]
}

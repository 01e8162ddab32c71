import { z } from 'zod'
import { randomId, sha256 } from '../../crypto/digests.ts'
import { routes } from '../../oidc/endpoints.ts'
import * as policies from '../../registration/policies.ts'
import * as tokens from '../../stores/clients/registration-tokens.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'
import { assertMayHandOn, scopesIn } from '../privileges.ts'
import { futureMoment } from '../times.ts'

const shownToken = z.object({
  id: z.string(),
  policy: z.string(),
  uses: z.int(),
  max_uses: z.int().optional(),
  created_at: z.string(),
  expires_at: z.string(),
  revoked: z.boolean(),
})

/** Lists the operations on initial access tokens, which let clients register themselves (RFC 7591 §3). */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'registration-token',
      verb: 'create',
      summary: 'Create a token that lets apps register themselves',
      scope: 'postern:registration',
      http: { method: 'POST', path: '/registration-tokens', status: 201 },
      input: z.strictObject({
        policy: z.string().default('default').describe('The registration policy for the clients registered with it.'),
        uses: z
          .int()
          .min(1)
          .max(1_000_000)
          .optional()
          .describe('The number of clients that may register with it. Default: unlimited.'),
        expires: futureMoment.prefault('1d').describe('When it expires: a duration such as 30d or 12h, or a date.'),
      }),
      output: z.object({
        id: z.string(),
        initial_access_token: z.string(),
        registration_endpoint: z.string(),
        policy: z.string(),
        max_uses: z.int().optional(),
        expires_at: z.string(),
      }),
      async run({ tx, by, config, record }, input) {
        const policy = await policies.find(tx, input.policy)
        if (!policy)
          throw new OperationError('invalid', { field: 'policy', message: `There is no policy ${input.policy}.` })
        assertMayHandOn(by, scopesIn(policy), 'policy')
        const id = randomId(12)
        const value = randomId()
        await tokens.create(tx, {
          id,
          tokenHash: sha256(value),
          policy: input.policy,
          maxUses: input.uses,
          expiresAt: input.expires,
        })
        record({ type: 'registration_token.created', details: { id, policy: input.policy, max_uses: input.uses } })
        return {
          id,
          initial_access_token: value,
          registration_endpoint: config.ISSUER + routes.registration,
          policy: input.policy,
          max_uses: input.uses,
          expires_at: input.expires.toISOString(),
        }
      },
    }),

    operation({
      noun: 'registration-token',
      verb: 'list',
      summary: 'List registration tokens, oldest first',
      scope: 'postern:registration:read',
      http: { method: 'GET', path: '/registration-tokens' },
      input: z.strictObject(listInput),
      output: listOutput(shownToken),
      run: ({ tx, storage }, { cursor, limit }) =>
        page(storage.envelope, {
          list: 'registration-tokens',
          cursor,
          limit,
          read: (options) => tokens.list(tx, options),
          positionOf: ({ createdAt, id }) => ({ at: createdAt, id }),
          show: (token) => ({
            id: token.id,
            policy: token.policy,
            uses: token.uses,
            max_uses: token.maxUses,
            created_at: token.createdAt.toISOString(),
            expires_at: token.expiresAt.toISOString(),
            revoked: token.revokedAt !== undefined,
          }),
        }),
    }),

    operation({
      noun: 'registration-token',
      verb: 'revoke',
      summary: 'Revoke a registration token, but keep the clients that were registered with it',
      scope: 'postern:registration',
      http: { method: 'DELETE', path: '/registration-tokens/{id}', status: 204 },
      isDestructive: true,
      input: z.strictObject({ id: z.string().min(1).describe('The ID of the token, not its value.') }),
      output: z.object({ id: z.string(), revoked: z.literal(true) }),
      async run({ tx, record }, { id }) {
        if (!(await tokens.revoke(tx, id))) {
          // The message does not repeat the ID because somebody may have given the value of the token instead.
          throw new OperationError('not-found', 'There is no unrevoked registration token with this ID.')
        }
        record({ type: 'registration_token.revoked', details: { id } })
        return { id, revoked: true as const }
      },
    }),
  ]
}

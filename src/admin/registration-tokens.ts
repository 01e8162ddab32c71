import { z } from 'zod'
import { createInitialAccessToken } from '../oidc/registration.ts'
import { type Operation, operation } from './operation.ts'

/** Initial access tokens, with which clients register themselves (RFC 7591 §3). */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'registration-token',
      verb: 'create',
      summary: 'Create a token with which apps can register themselves',
      input: z.object({
        'ttl-seconds': z.coerce
          .number()
          .int()
          .min(60)
          .max(31_536_000)
          .default(86_400)
          .describe('How long it is good for.'),
      }),
      async run({ provider, storage, config }, input) {
        const token = await createInitialAccessToken(provider, storage, input['ttl-seconds'])
        return {
          initial_access_token: token,
          registration_endpoint: `${config.ISSUER}/oauth/register`,
          expires_in: input['ttl-seconds'],
        }
      },
    }),
  ]
}

import { z } from 'zod'
import { createSecret, getPolicy, secretExpiry } from '../../oidc/registration/by-administrator.ts'
import { type Secret, secret as wrap } from '../../secret.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as credentials from '../../stores/clients/credentials.ts'
import * as registrationAccessTokens from '../../stores/clients/registration-access-tokens.ts'
import { type Operation, type OperationContext, OperationError, operation } from '../operation.ts'
import { assertMayHandOn, scopesOf } from '../privileges.ts'
import { clientId, get } from './clients.ts'

const longestOverlapSeconds = 90 * 86_400
const shortestSecret = 32 // characters: base64 of 192 bits, and a key for HS256 (RFC 7518 §3.2)

export const overlapSeconds = z
  .int()
  .min(0)
  .max(longestOverlapSeconds)
  .default(86_400)
  .describe('For how many seconds the previous secret stays valid. Use 0 if others know it.')

/** A secret that an administrator chose. Nobody should be able to guess it, but only its length can be checked. */
export const chosenSecret = z
  .string()
  .min(shortestSecret, `must have at least ${shortestSecret} characters`)
  .max(1_024)
  .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII characters (RFC 6749 §A.2)')
  .transform((value) => wrap(value))
  .meta({ secret: true })
  .describe('The secret.')

const replaced = z.object({
  client_id: z.string(),
  client_secret_expires_at: z.int(),
  previous_secret_expires_at: z.string().optional(),
})

const encodingWarning =
  'The secret has characters other than letters, digits and . _ * -. With client_secret_basic, a client must encode these as in a form (RFC 6749 §2.3.1), and not every library does. If the client is rejected with this secret, use a secret without them or client_secret_post.'

/**
 * Lists the operations on the secrets of clients, which are generated here or chosen elsewhere (in a vault, or by the
 * provider that the client comes from), and on the tokens that let clients change their registration.
 */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'client',
      verb: 'rotate-secret',
      summary: 'Generate a new secret for a client; the previous one stays valid for a while',
      scope: 'postern:clients',
      http: { method: 'POST', path: '/clients/{client_id}/rotate-secret' },
      input: z.strictObject({ client_id: clientId, overlap_seconds: overlapSeconds }),
      output: replaced.extend({ client_secret: z.string() }),
      async run(context, { client_id: id, overlap_seconds }) {
        const secret = wrap(createSecret())
        const outcome = await replace(context, id, { secret, overlapSeconds: overlap_seconds })
        context.record({ type: 'client.secret_rotated', clientId: id, details: { overlap_seconds } })
        return { ...outcome, client_secret: secret.reveal() }
      },
    }),

    operation({
      noun: 'client',
      verb: 'set-secret',
      summary: 'Set a secret of your choice for a client; the previous one stays valid for a while',
      scope: 'postern:clients',
      http: { method: 'PUT', path: '/clients/{client_id}/secret' },
      input: z.strictObject({ client_id: clientId, client_secret: chosenSecret, overlap_seconds: overlapSeconds }),
      output: replaced.extend({ warning: z.string().optional() }),
      async run(context, { client_id: id, client_secret: secret, overlap_seconds }) {
        const outcome = await replace(context, id, { secret, overlapSeconds: overlap_seconds })
        context.record({ type: 'client.secret_set', clientId: id, details: { overlap_seconds } })
        const isPlain = /^[A-Za-z0-9._*-]+$/.test(secret.reveal()) // form encoding does not change these
        return { ...outcome, ...(!isPlain && { warning: encodingWarning }) }
      },
    }),

    operation({
      noun: 'client',
      verb: 'revoke-registration-token',
      summary: 'Revoke the token that lets a client change its own registration, but keep the client',
      scope: 'postern:clients',
      http: { method: 'DELETE', path: '/clients/{client_id}/registration-token', status: 204 },
      isDestructive: true,
      input: z.strictObject({ client_id: clientId }),
      output: z.object({ client_id: z.string(), revoked: z.literal(true) }),
      async run(context, { client_id: id }) {
        await clients.lock(context.tx, id)
        await get(context, id) // throws if there is no such client
        if ((await registrationAccessTokens.revoke(context.tx, id)) === 0) {
          throw new OperationError('not-found', `The client ${id} has no registration access token.`)
        }
        context.record({ type: 'client.registration_token_revoked', clientId: id })
        return { client_id: id, revoked: true as const }
      },
    }),
  ]
}

async function replace(
  context: OperationContext,
  id: string,
  { secret, overlapSeconds }: { secret: Secret; overlapSeconds: number },
): Promise<z.input<typeof replaced>> {
  const { tx, storage, by } = context
  await clients.lock(tx, id) // before the read, so that the check sees what the change starts from
  const { metadata, policy } = await get(context, id)
  assertMayHandOn(by, scopesOf(metadata), 'client_id')
  const secretExpiresAtSeconds = secretExpiry(await getPolicy(tx, policy))
  const rotated = await credentials.rotateSecret(tx, storage.envelope, id, {
    secret: secret.reveal(),
    secretExpiresAtSeconds,
    overlapSeconds,
  })
  if (!rotated) throw new OperationError('conflict', `The client ${id} has no secret.`)
  context.changed(id)
  return {
    client_id: id,
    client_secret_expires_at: secretExpiresAtSeconds,
    ...(rotated.previousExpiresAt && { previous_secret_expires_at: rotated.previousExpiresAt.toISOString() }),
  }
}

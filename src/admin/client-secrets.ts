import { z } from 'zod'
import { getPolicy, secretExpiry } from '../oidc/registration.ts'
import * as clientRecords from '../stores/client-records.ts'
import * as clients from '../stores/clients.ts'
import { clientId, overlapSeconds, unknown } from './clients.ts'
import { type Operation, operation, Refusal } from './operation.ts'
import { assertMayHandOn, scopesOf } from './privileges.ts'

const shortestSecret = 32 // characters: base64 of 192 bits, and a key for HS256 (RFC 7518 §3.2)

/** A secret that is brought along. It has to be one that nobody could guess, which only its length can show. */
export const chosenSecret = z
  .string()
  .min(shortestSecret, `must have at least ${shortestSecret} characters`)
  .max(1_024)
  .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII characters (RFC 6749 §A.2)')
  .meta({ secret: true })
  .describe('The secret. At the command line, left out, it is asked for, or read from standard input.')

/** Secrets of clients that are decided elsewhere: in a vault, or by the provider the client comes from. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'client',
      verb: 'set-secret',
      summary: 'Give a client a secret of your own; for a while the one before is good too',
      scope: 'postern:clients',
      http: { method: 'PUT', path: '/clients/{client_id}/secret' },
      input: z.strictObject({ client_id: clientId, client_secret: chosenSecret, overlap_seconds: overlapSeconds }),
      output: z.object({
        client_id: z.string(),
        client_secret_expires_at: z.int(),
        previous_secret_expires_at: z.string().optional(),
      }),
      async run(context, { client_id: id, client_secret: secret, overlap_seconds }) {
        const { tx, storage } = context
        const found = await clientRecords.find(tx, id)
        if (!found) throw unknown(id)
        assertMayHandOn(context.by, scopesOf(found.metadata), 'client_id')
        const secretExpiresAtSeconds = secretExpiry(await getPolicy(tx, found.policy ?? 'default'))
        const rotated = await clients.rotateSecret(tx, storage.envelope, id, {
          secret,
          secretExpiresAtSeconds,
          overlapSeconds: overlap_seconds,
        })
        if (!rotated) throw new Refusal('conflict', `The client ${id} has no secret.`)
        context.changed(id)
        context.record({ type: 'client.secret_set', clientId: id, details: { overlap_seconds } })
        return {
          client_id: id,
          client_secret_expires_at: secretExpiresAtSeconds,
          previous_secret_expires_at: rotated.previousExpiresAt?.toISOString(),
        }
      },
    }),
  ]
}

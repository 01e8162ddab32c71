import { z } from 'zod'
import { registerClient } from '../oidc/registration.ts'
import * as audit from '../stores/audit.ts'
import * as clients from '../stores/clients.ts'
import { type Operation, operation } from './operation.ts'

const list = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .transform((value) =>
    value === undefined ? undefined : [value].flat().flatMap((item) => item.split(/[\s,]+/).filter(Boolean)),
  )

const id = z.string().min(1).describe('The client_id.')

/** Clients: the relying parties, APIs and machines that use Postern. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'client',
      verb: 'create',
      summary: 'Register a client',
      input: z.object({
        name: z.string().max(200).optional().describe('Name shown to people.'),
        'redirect-uri': list.describe('Where people return to after signing in. May be repeated.'),
        'post-logout-redirect-uri': list.describe('Where people return to after signing out. May be repeated.'),
        'grant-type': list.describe(
          'authorization_code, refresh_token, client_credentials or the device grant. May be repeated.',
        ),
        'auth-method': z
          .string()
          .optional()
          .describe('client_secret_basic, client_secret_post, private_key_jwt or none.'),
        scope: z.string().optional().describe('Scopes it may ask for, space separated. Default: all.'),
        metadata: z
          .string()
          .optional()
          .transform((text, ctx) => {
            if (text === undefined) return {}
            try {
              return z.record(z.string(), z.unknown()).parse(JSON.parse(text))
            } catch {
              ctx.addIssue({ code: 'custom', message: 'must be a JSON object of client metadata (RFC 7591 §2)' })
              return z.NEVER
            }
          })
          .describe('Any other client metadata as JSON, named as in RFC 7591 §2.'),
      }),
      async run({ provider, storage }, input) {
        const isForPeople = input['redirect-uri'] !== undefined || 'redirect_uris' in input.metadata
        const given = {
          ...(!isForPeople && { redirect_uris: [], response_types: [] }),
          ...(input.name !== undefined && { client_name: input.name }),
          ...(input['redirect-uri'] && { redirect_uris: input['redirect-uri'] }),
          ...(input['post-logout-redirect-uri'] && { post_logout_redirect_uris: input['post-logout-redirect-uri'] }),
          grant_types:
            input['grant-type'] ?? (isForPeople ? ['authorization_code', 'refresh_token'] : ['client_credentials']),
          ...(input['auth-method'] !== undefined && { token_endpoint_auth_method: input['auth-method'] }),
          ...(input.scope !== undefined && { scope: input.scope }),
          ...input.metadata,
        }
        return await registerClient(provider, storage, given)
      },
    }),

    operation({
      noun: 'client',
      verb: 'list',
      summary: 'List clients',
      input: z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(100).describe('At most this many.') }),
      async run({ database: { db } }, { limit }) {
        const found = await clients.list(db, { limit })
        return found.map(({ id, name, isDynamic, isDisabled }) => ({
          id,
          name,
          dynamic: isDynamic,
          disabled: isDisabled,
        }))
      },
    }),

    ...(['disable', 'enable'] as const).map((verb) =>
      operation({
        noun: 'client',
        verb,
        summary: verb === 'disable' ? 'Stop a client and its tokens from working' : 'Let a disabled client work again',
        input: z.object({ id }),
        async run({ database: { db } }, input) {
          const isFound = await db.transaction().execute(async (tx) => {
            await audit.append(tx, [{ type: `client.${verb}d`, clientId: input.id }])
            return clients.setDisabled(tx, input.id, verb === 'disable')
          })
          if (!isFound) throw new Error(`There is no client ${input.id}.`)
          return { id: input.id, disabled: verb === 'disable' }
        },
      }),
    ),

    operation({
      noun: 'client',
      verb: 'delete',
      summary: 'Delete a client with everything issued to it',
      input: z.object({ id }),
      async run({ database: { db } }, input) {
        const isFound = await db.transaction().execute(async (tx) => {
          await audit.append(tx, [{ type: 'client.deleted', clientId: input.id }])
          return clients.destroy(tx, input.id)
        })
        if (!isFound) throw new Error(`There is no client ${input.id}.`)
        return { id: input.id, deleted: true }
      },
    }),
  ]
}

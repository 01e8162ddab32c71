import { z } from 'zod'
import { registerClient, updateClient } from '../../oidc/registration/by-administrator.ts'
import { clientMetadata } from '../../registration/metadata.ts'
import { ClientRefused } from '../../registration/refusal.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as clientRecords from '../../stores/clients/records.ts'
import { type Operation, type OperationContext, OperationError, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'
import { assertMayHandOn, scopesOf } from '../privileges.ts'

export const clientId = z.string().min(1).max(2_048).describe('The ID of the client.')
/** A client_id that an administrator chooses. One that is an https URL belongs to a client ID metadata document. */
export const newClientId = z
  .string()
  .regex(/^[\x20-\x7e]{1,255}$/, 'must be 1 to 255 printable ASCII characters (RFC 6749 §A.1)')
  .refine((id) => !/^https?:/i.test(id), 'must not be an http(s) URL')
  .describe('Its client_id. Default: a random one.')
const policy = z.string().describe('The registration policy that applies to it, now and at every change.')

// This is not strict because a stored client may have members that nobody can set here.
const shownMetadata = clientMetadata.extend({ software_statement: z.string().optional() }).strip()
const shownClient = shownMetadata.extend({
  client_id: z.string(),
  client_id_issued_at: z.int().optional(),
  client_secret_expires_at: z.int().optional(),
  policy: z.string().optional(),
  registered_by: z.enum(['administrator', 'itself', 'document']),
  registration_token_id: z.string().optional(),
  disabled: z.boolean(),
  created_at: z.string(),
  updated_at: z.string(),
  last_used_at: z.string().optional(),
  expires_at: z.string().optional(),
  previous_secret_expires_at: z.string().optional(),
})
/** A client as registered or changed. Only this answer contains its secret, which is shown once. */
const newClient = shownMetadata.extend({
  client_id: z.string(),
  client_id_issued_at: z.int().optional(),
  client_secret: z.string().optional(),
  client_secret_expires_at: z.int().optional(),
})

/** Lists the operations on clients, which are the relying parties, APIs and machines that use Postern. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'client',
      verb: 'create',
      summary: 'Register a client',
      scope: 'postern:clients',
      http: { method: 'POST', path: '/clients', status: 201 },
      input: clientMetadata.extend({ client_id: newClientId.optional(), policy: policy.default('administrator') }),
      output: newClient,
      async run(context, { policy: under, ...metadata }) {
        assertMayHandOn(context.by, scopesOf(metadata), 'scope')
        const created = await refusing(() => registerClient(context, forPurpose(metadata), { policy: under }))
        context.changed(created.client_id)
        context.record({ type: 'client.registered', clientId: created.client_id, details: { policy: under } })
        return created as z.input<typeof newClient>
      },
    }),

    operation({
      noun: 'client',
      verb: 'list',
      summary: 'List clients, oldest first',
      scope: 'postern:clients:read',
      http: { method: 'GET', path: '/clients' },
      input: z.strictObject(listInput),
      output: listOutput(shownClient),
      columns: ['client_id', 'client_name', 'registered_by', 'disabled', 'last_used_at'],
      run: ({ tx, storage }, { cursor, limit }) =>
        page(storage.envelope, {
          list: 'clients',
          cursor,
          limit,
          read: (options) => clientRecords.list(tx, options),
          positionOf: ({ createdAt, id }) => ({ at: createdAt, id }),
          show,
        }),
    }),

    operation({
      noun: 'client',
      verb: 'show',
      summary: 'Show a client, without its secret',
      scope: 'postern:clients:read',
      http: { method: 'GET', path: '/clients/{client_id}' },
      input: z.strictObject({ client_id: clientId }),
      output: shownClient,
      run: async (context, input) => show(await get(context, input.client_id)),
    }),

    operation({
      noun: 'client',
      verb: 'update',
      summary: 'Change the metadata of a client; null removes a member',
      scope: 'postern:clients',
      http: { method: 'PATCH', path: '/clients/{client_id}' },
      input: z.strictObject({
        client_id: clientId,
        ...nullable(clientMetadata.shape),
        policy: policy.optional(),
      }),
      output: newClient,
      async run(context, { client_id: id, ...changes }) {
        await clients.lock(context.tx, id) // before the read, so that the check sees what the change starts from
        const { metadata } = await get(context, id)
        assertMayHandOn(context.by, [...scopesOf(metadata), ...scopesOf(changes)], 'scope')
        const updated = await refusing(() => updateClient(context, id, changes))
        if (!updated) throw unknown(id)
        context.changed(id)
        context.record({ type: 'client.updated', clientId: id, details: { changed: Object.keys(changes) } })
        return updated as z.input<typeof newClient>
      },
    }),

    ...(['disable', 'enable'] as const).map((verb) =>
      operation({
        noun: 'client',
        verb,
        summary: verb === 'disable' ? 'Stop a client and its tokens from working' : 'Let a disabled client work again',
        scope: 'postern:clients',
        http: { method: 'POST', path: `/clients/{client_id}/${verb}` },
        input: z.strictObject({ client_id: clientId }),
        output: z.object({ client_id: z.string(), disabled: z.boolean() }),
        async run(context, { client_id: id }) {
          if (verb === 'enable') assertMayHandOn(context.by, scopesOf((await get(context, id)).metadata), 'client_id')
          if (!(await clients.setDisabled(context.tx, id, verb === 'disable'))) throw unknown(id)
          context.changed(id)
          context.record({ type: `client.${verb}d`, clientId: id })
          return { client_id: id, disabled: verb === 'disable' }
        },
      }),
    ),

    operation({
      noun: 'client',
      verb: 'delete',
      summary: 'Delete a client and everything issued to it',
      scope: 'postern:clients',
      http: { method: 'DELETE', path: '/clients/{client_id}', status: 204 },
      isDestructive: true,
      input: z.strictObject({ client_id: clientId }),
      output: z.object({ client_id: z.string(), deleted: z.literal(true) }),
      async run(context, { client_id: id }) {
        if (!(await clients.destroy(context.tx, id))) throw unknown(id)
        context.changed(id)
        context.record({ type: 'client.deleted', clientId: id })
        return { client_id: id, deleted: true as const }
      },
    }),
  ]
}

/**
 * Adds the defaults for the purpose of a client. Without redirect URIs it is a machine: the defaults of RFC 7591 §2 are for
 * a client that people are sent back to.
 */
export function forPurpose(metadata: Record<string, unknown>): Record<string, unknown> {
  if (metadata['redirect_uris'] !== undefined) {
    return { grant_types: ['authorization_code', 'refresh_token'], ...metadata }
  }
  return { redirect_uris: [], response_types: [], grant_types: ['client_credentials'], ...metadata }
}

function nullable<Shape extends z.ZodRawShape>(shape: Shape) {
  const entries = Object.entries(shape).map(([name, schema]) => [name, (schema as z.ZodType).nullable()])
  return Object.fromEntries(entries) as { [Name in keyof Shape]: z.ZodNullable<Shape[Name] & z.ZodType> }
}

export async function get({ tx }: OperationContext, id: string): Promise<clientRecords.ClientRecord> {
  const found = await clientRecords.find(tx, id)
  if (!found) throw unknown(id)
  return found
}

const unknown = (id: string) => new OperationError('not-found', `There is no client ${id}.`)

/** Turns the refusal of a client into an OperationError. */
export async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ClientRefused)) throw error
    throw new OperationError('invalid', error.refusal)
  }
}

function show(record: clientRecords.ClientRecord): z.input<typeof shownClient> {
  return {
    ...record.metadata,
    client_id: record.id,
    policy: record.policy,
    registered_by: record.isDocument ? 'document' : record.isDynamic ? 'itself' : 'administrator',
    registration_token_id: record.registrationTokenId,
    disabled: record.isDisabled,
    created_at: record.createdAt.toISOString(),
    updated_at: record.updatedAt.toISOString(),
    last_used_at: record.lastUsedAt?.toISOString(),
    expires_at: record.expiresAt?.toISOString(),
    previous_secret_expires_at: record.previousSecretExpiresAt?.toISOString(),
  }
}

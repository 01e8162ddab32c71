import { z } from 'zod'
import { adminResource } from '../../oidc/admin-resource.ts'
import { registerClient } from '../../oidc/registration/by-administrator.ts'
import { displayName } from '../../registration/names.ts'
import { isSameUri } from '../../registration/same-uris.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as clientRecords from '../../stores/clients/records.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import * as grants from '../../stores/protocol/grants.ts'
import { type Operation, type OperationContext, OperationError, operation } from '../operation.ts'
import { scopes } from '../scope-texts.ts'
import { refusing } from './clients.ts'

const longestName = 200 // as for a client

export const identifier = z
  .url('must be an absolute URI')
  .max(2_048)
  .refine((url) => !url.includes('#'), 'must have no fragment (RFC 8707 §2)')
  .describe('Its resource indicator: an absolute URI, and the audience of its tokens.')

/** The settings of a resource server, for its creation and for changes. */
export const settings = {
  name: displayName.describe('Name shown to people.'),
  scopes: scopes.describe(
    'Its scopes, each with the sentence that people read on the consent page: "read=Read your files,write". In several languages, as JSON: {"read": {"en": "Read your files", "de": "Ihre Dateien lesen"}}.',
  ),
  token_format: z.enum(['opaque', 'jwt']).describe('The format of its access tokens: opaque, or jwt (RFC 9068).'),
  token_ttl_seconds: z
    .int()
    .positive()
    .max(86_400)
    .describe('Lifetime of its access tokens. Default: the lifetime in the settings.'),
  token_type_header: z
    .enum(['at+jwt', 'JWT'])
    .describe('The typ of its JWTs: at+jwt (RFC 9068), or JWT for a library that does not know at+jwt.'),
  serves_userinfo: z
    .boolean()
    .describe(
      'Whether its access tokens also give access to userinfo. The API then learns the claims that the app may have.',
    ),
  client_id: z.string().describe('An existing client that the API authenticates as to introspect tokens.'),
}

const shownResource = z.object({
  identifier: z.string(),
  name: z.string(),
  scopes: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
  token_format: z.enum(['opaque', 'jwt']),
  token_ttl_seconds: z.int().optional(),
  token_type_header: z.enum(['at+jwt', 'JWT']),
  serves_userinfo: z.boolean(),
  client_id: z.string().optional(),
})

/** Lists the operations on resource servers, which are the APIs that access tokens are for. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'resource',
      verb: 'create',
      summary: 'Register a resource server, with credentials to introspect its tokens',
      scope: 'postern:resources',
      http: { method: 'POST', path: '/resources', status: 201 },
      input: z.strictObject({
        identifier,
        scopes: settings.scopes,
        name: settings.name.optional(),
        token_format: settings.token_format.default('opaque'),
        token_ttl_seconds: settings.token_ttl_seconds.optional(),
        token_type_header: settings.token_type_header.default('at+jwt'),
        serves_userinfo: settings.serves_userinfo.default(false),
        client_id: settings.client_id.optional().describe(`${settings.client_id.description} Default: a new one.`),
      }),
      output: shownResource.extend({ client_secret: z.string().optional() }),
      async run(context, input) {
        const { tx, config, record } = context
        const taken = (by: string) =>
          new OperationError('conflict', { field: 'identifier', message: `There already is a resource server ${by}.` })
        const known = [...(await resourceServers.list(tx)), adminResource(config.ISSUER)]
        const same = known.find((server) => isSameUri(server.identifier, input.identifier))
        if (same) throw taken(same.identifier)
        if (input.client_id !== undefined) await assertClient(context, input.client_id)
        const credentials = input.client_id === undefined ? await createCredentials(context, input) : undefined
        const server = {
          identifier: input.identifier,
          name: input.name ?? defaultName(input.identifier),
          scopes: input.scopes,
          tokenFormat: input.token_format,
          tokenTtlSeconds: input.token_ttl_seconds,
          tokenTypeHeader: input.token_type_header,
          servesUserinfo: input.serves_userinfo,
          clientId: credentials?.client_id ?? input.client_id,
          ownsClient: credentials !== undefined,
        }
        if ((await resourceServers.save(tx, server, { isNew: true })) === 'taken') throw taken(server.identifier)
        record({ type: 'resource.created', resource: server.identifier, clientId: server.clientId })
        return { ...show(server), ...(credentials && { client_secret: String(credentials['client_secret']) }) }
      },
    }),

    operation({
      noun: 'resource',
      verb: 'list',
      summary: 'List resource servers',
      scope: 'postern:resources:read',
      http: { method: 'GET', path: '/resources' },
      input: z.strictObject({}),
      output: z.object({ items: z.array(shownResource) }),
      run: async ({ tx }) => ({ items: (await resourceServers.list(tx)).map(show) }),
    }),

    operation({
      noun: 'resource',
      verb: 'show',
      summary: 'Show a resource server',
      scope: 'postern:resources:read',
      http: { method: 'GET', path: '/resources/{identifier}' },
      input: z.strictObject({ identifier }),
      output: shownResource,
      run: async (context, input) => show(await get(context, input.identifier)),
    }),

    operation({
      noun: 'resource',
      verb: 'update',
      summary: 'Change a resource server',
      scope: 'postern:resources',
      http: { method: 'PATCH', path: '/resources/{identifier}' },
      input: z.strictObject({
        identifier,
        scopes: settings.scopes.optional(),
        name: settings.name.optional(),
        token_format: settings.token_format.optional(),
        token_ttl_seconds: settings.token_ttl_seconds.nullable().optional(),
        token_type_header: settings.token_type_header.optional(),
        serves_userinfo: settings.serves_userinfo.optional(),
        client_id: settings.client_id.optional(),
      }),
      output: shownResource,
      async run(context, { identifier: wanted, ...changes }) {
        const found = await lock(context, wanted)
        if (changes.client_id !== undefined) await assertClient(context, changes.client_id)
        const server = {
          ...found,
          name: changes.name ?? found.name,
          scopes: changes.scopes ?? found.scopes,
          tokenFormat: changes.token_format ?? found.tokenFormat,
          tokenTtlSeconds:
            changes.token_ttl_seconds === undefined ? found.tokenTtlSeconds : (changes.token_ttl_seconds ?? undefined),
          tokenTypeHeader: changes.token_type_header ?? found.tokenTypeHeader,
          servesUserinfo: changes.serves_userinfo ?? found.servesUserinfo,
          clientId: changes.client_id ?? found.clientId,
          ownsClient: found.ownsClient === true && (changes.client_id ?? found.clientId) === found.clientId,
        }
        await resourceServers.save(context.tx, server)
        context.record({ type: 'resource.updated', resource: wanted, details: { changed: Object.keys(changes) } })
        return show(server)
      },
    }),

    operation({
      noun: 'resource',
      verb: 'delete',
      summary:
        'Delete a resource server, its tokens, the consents to it, and the credentials that were created with it',
      scope: 'postern:resources',
      http: { method: 'DELETE', path: '/resources/{identifier}', status: 204 },
      isDestructive: true,
      input: z.strictObject({ identifier }),
      output: z.object({ identifier: z.string(), deleted: z.literal(true) }),
      async run(context, input) {
        const { clientId, ownsClient } = await lock(context, input.identifier)
        await resourceServers.destroy(context.tx, input.identifier)
        await grants.forgetResource(context.tx, input.identifier)
        if (clientId !== undefined && ownsClient && (await resourceServers.isOnlyCredentials(context.tx, clientId))) {
          await clients.destroy(context.tx, clientId)
          context.changed(clientId)
        }
        context.record({ type: 'resource.deleted', resource: input.identifier, clientId })
        return { identifier: input.identifier, deleted: true as const }
      },
    }),
  ]
}

/** Returns the name of an API that was registered without one. */
export const defaultName = (identifier: string): string => new URL(identifier).host || identifier

/** Registers a client that can only introspect tokens: it has no grant types. */
async function createCredentials(
  context: OperationContext,
  { identifier: audience, name }: { identifier: string; name?: string | undefined },
) {
  const created = await refusing(() =>
    registerClient(context, {
      client_name: (name ?? audience).slice(0, longestName),
      grant_types: [],
      response_types: [],
      redirect_uris: [],
    }),
  )
  context.changed(created.client_id)
  return created
}

/**
 * Asserts that an API may introspect tokens as a client, which has to authenticate (RFC 7662 §2.1) and must not be able to
 * change itself.
 */
async function assertClient({ tx }: OperationContext, id: string): Promise<void> {
  await clients.lock(tx, id) // so that it does not change before the transaction ends
  const found = await clientRecords.find(tx, id)
  if (!found) throw new OperationError('invalid', { field: 'client_id', message: `There is no client ${id}.` })
  if (found.isDynamic) {
    throw new OperationError('invalid', { field: 'client_id', message: 'must not be a client that registered itself' })
  }
  if (found.metadata['token_endpoint_auth_method'] === 'none') {
    throw new OperationError('invalid', {
      field: 'client_id',
      message: 'must not be a public client, because introspection requires authentication',
    })
  }
}

/** Finds a resource server and locks it until the transaction ends. */
const lock = ({ tx }: OperationContext, wanted: string) => existing(resourceServers.lock(tx, wanted), wanted)
const get = ({ tx }: OperationContext, wanted: string) => existing(resourceServers.find(tx, wanted), wanted)

async function existing<T>(reading: Promise<T | undefined>, wanted: string): Promise<T> {
  const found = await reading
  if (!found) throw new OperationError('not-found', `There is no resource server ${wanted}.`)
  return found
}

function show(server: resourceServers.ResourceServer): z.input<typeof shownResource> {
  return {
    identifier: server.identifier,
    name: server.name,
    scopes: server.scopes,
    token_format: server.tokenFormat,
    token_ttl_seconds: server.tokenTtlSeconds,
    token_type_header: server.tokenTypeHeader ?? 'at+jwt',
    serves_userinfo: server.servesUserinfo ?? false,
    client_id: server.clientId,
  }
}

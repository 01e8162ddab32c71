import { z } from 'zod'
import { mistakeIn } from '../../authentication/federation/checks.ts'
import {
  issuerOf,
  nameOf,
  presetNames,
  type Upstream,
  upstreamOf,
  upstreamSettings,
} from '../../authentication/federation/settings.ts'
import { callbackOf } from '../../authentication/federation/upstream-client.ts'
import { domains } from '../../config/domains.ts'
import { secret as wrap } from '../../secret.ts'
import * as stored from '../../stores/clients/upstream-providers.ts'
import * as accounts from '../../stores/people/accounts.ts'
import * as identities from '../../stores/people/identities.ts'
import { type Operation, type OperationContext, OperationError, operation } from '../operation.ts'
import { get, id, lock } from './found-upstream-providers.ts'
import { upstreamTry } from './upstream-try.ts'

const authorityDomains = z
  .array(z.string().max(253))
  .transform((entries) => domains.parse(entries.join(',')))
  .describe(
    'Domains whose addresses this provider decides about. It signs in to any account with such an address, so name only domains of its owner.',
  )

/** The secret that Postern has at a provider. */
export const secret = z
  .string()
  .min(1)
  .max(16_384)
  .transform((value) => wrap(value))
  .meta({ secret: true })
  .describe('The client secret, or the private key in PEM for Apple and private_key_jwt.')

/** The kind of a provider. */
export const preset = z.enum(presetNames).default('openid').describe('The kind of provider.')

/** Everything about a provider that can be changed. */
export const fields = {
  ...upstreamSettings.shape,
  authority_domains: authorityDomains.default([]),
}

/** Every field of a provider, each of which may be left out or removed. */
const changes = Object.fromEntries(
  Object.entries(fields).map(([name, field]) => {
    const bare = field instanceof z.ZodDefault || field instanceof z.ZodOptional ? field.unwrap() : field
    const { description } = field as z.ZodType
    const optional = (bare as z.ZodType).nullable().optional()
    return [name, description === undefined ? optional : optional.describe(description)]
  }),
)

const shown = z.object({
  id: z.string(),
  preset: z.enum(presetNames),
  name: z.string().describe('The name that people see.'),
  issuer: z.string(),
  redirect_uri: z.string().describe('The redirect URI to register at the provider.'),
  settings: z.record(z.string(), z.unknown()),
  authority_domains: z.array(z.string()),
  has_secret: z.boolean(),
  disabled: z.boolean(),
  created_at: z.string(),
  updated_at: z.string(),
})

const scope = 'postern:upstream'

/** Lists the operations on the providers elsewhere that people may sign in with. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'upstream',
      verb: 'create',
      summary: 'Set up a provider that people may sign in with',
      scope,
      http: { method: 'POST', path: '/upstream-providers', status: 201 },
      input: z.strictObject({
        id,
        preset,
        ...fields,
      }),
      output: shown,
      async run(context, input) {
        const { id: name, preset: kind, authority_domains, ...settings } = input as typeof input & { id: string }
        const provider = { id: name, preset: kind, settings, secret: undefined, authorityDomains: authority_domains }
        check(context, provider)
        if ((await stored.create(context.tx, context.envelope, provider)) === 'taken') {
          throw new OperationError('conflict', { field: 'id', message: `There is a provider ${name} already.` })
        }
        context.record({ type: 'upstream.created', details: { provider: name, preset: kind } })
        return show(context, await get(context, name))
      },
    }),

    operation({
      noun: 'upstream',
      verb: 'list',
      summary: 'List the providers that people may sign in with',
      scope: `${scope}:read`,
      http: { method: 'GET', path: '/upstream-providers' },
      input: z.strictObject({}),
      output: z.object({ items: z.array(shown) }),
      columns: ['id', 'preset', 'name', 'issuer', 'disabled'],
      async run(context) {
        const all = await stored.list(context.tx, context.envelope)
        return { items: all.map((provider) => show(context, provider)) }
      },
    }),

    operation({
      noun: 'upstream',
      verb: 'show',
      summary: 'Show a provider that people may sign in with',
      scope: `${scope}:read`,
      http: { method: 'GET', path: '/upstream-providers/{id}' },
      input: z.strictObject({ id }),
      output: shown,
      run: async (context, input) => show(context, await get(context, input.id)),
    }),

    operation({
      noun: 'upstream',
      verb: 'update',
      summary: 'Change the settings of a provider; null removes one',
      scope,
      http: { method: 'PATCH', path: '/upstream-providers/{id}' },
      input: z.strictObject({ id, ...changes }),
      output: shown,
      async run(context, input) {
        const { id: name, authority_domains, ...changed } = input as Record<string, unknown> & { id: string }
        const found = await lock(context, name)
        const merged = Object.entries({ ...found.settings, ...changed }).filter(([, value]) => value !== null)
        const provider = {
          ...found,
          settings: parsed(Object.fromEntries(merged)),
          authorityDomains:
            authority_domains === undefined ? found.authorityDomains : ((authority_domains ?? []) as string[]),
        }
        check(context, provider)
        await stored.update(context.tx, context.envelope, provider)
        const details = { provider: name, changed: Object.keys(input).filter((field) => field !== 'id') }
        context.record({ type: 'upstream.updated', details })
        return show(context, await get(context, name))
      },
    }),

    operation({
      noun: 'upstream',
      verb: 'set-secret',
      summary: 'Set the client secret or private key that Postern has at a provider',
      scope,
      http: { method: 'POST', path: '/upstream-providers/{id}/set-secret' },
      input: z.strictObject({ id, secret }),
      output: shown,
      async run(context, input) {
        const found = await lock(context, input.id)
        const provider = { ...found, secret: input.secret.reveal() }
        check(context, provider)
        await stored.update(context.tx, context.envelope, provider)
        context.record({ type: 'upstream.updated', details: { provider: input.id, changed: ['secret'] } })
        return show(context, await get(context, input.id))
      },
    }),

    ...(['disable', 'enable'] as const).map((verb) =>
      operation({
        noun: 'upstream',
        verb,
        summary:
          verb === 'disable'
            ? 'Stop people from signing in with a provider'
            : 'Let people sign in with a disabled provider again',
        scope,
        http: { method: 'POST', path: `/upstream-providers/{id}/${verb}` },
        input: z.strictObject({ id }),
        output: shown,
        async run(context, input) {
          const { settings } = await lock(context, input.id)
          await stored.setDisabled(context.tx, input.id, verb === 'disable')
          const ends = verb === 'disable' && settings['ends_sessions'] === true
          const linked = ends ? await identities.listAccounts(context.tx, input.id) : []
          for (const accountId of linked) await accounts.signOutEverywhere(context.tx, accountId)
          const details = { provider: input.id, ...(ends && { signed_out: linked.length }) }
          context.record({ type: `upstream.${verb}d`, details })
          return show(context, await get(context, input.id))
        },
      }),
    ),

    operation({
      noun: 'upstream',
      verb: 'delete',
      summary: 'Delete a provider, and unlink it from all accounts',
      scope,
      http: { method: 'DELETE', path: '/upstream-providers/{id}', status: 204 },
      isDestructive: true,
      input: z.strictObject({ id }),
      output: z.object({ id: z.string(), deleted: z.literal(true) }),
      async run(context, input) {
        await lock(context, input.id)
        await stored.destroy(context.tx, input.id)
        context.record({ type: 'upstream.deleted', details: { provider: input.id } })
        return { id: input.id, deleted: true as const }
      },
    }),
    upstreamTry(),
  ]
}

/** Returns settings with defaults for those that are left out. */
function parsed(settings: Record<string, unknown>): Upstream['settings'] {
  const result = upstreamSettings.safeParse(settings)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new OperationError('invalid', { field: String(issue?.path[0] ?? ''), message: issue?.message ?? 'is invalid' })
}

/** Throws unless Postern could speak with a provider of these settings. */
function check({ config }: OperationContext, provider: stored.NewUpstreamProvider): void {
  const upstream = upstreamOf({ ...provider, isDisabled: false, updatedAt: new Date() })
  const mistake = mistakeIn(upstream, { allowsLoopback: config.ISSUER.startsWith('http:') })
  if (mistake) throw new OperationError('invalid', mistake)
}

function show({ config }: OperationContext, provider: stored.UpstreamProvider): z.input<typeof shown> {
  const upstream = upstreamOf(provider)
  return {
    id: provider.id,
    preset: upstream.preset,
    name: nameOf(upstream),
    issuer: issuerOf(upstream),
    redirect_uri: callbackOf(config.ISSUER, provider.id),
    settings: upstream.settings,
    authority_domains: provider.authorityDomains,
    has_secret: provider.secret !== undefined,
    disabled: provider.isDisabled,
    created_at: provider.createdAt.toISOString(),
    updated_at: provider.updatedAt.toISOString(),
  }
}

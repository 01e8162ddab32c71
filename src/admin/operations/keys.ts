import { z } from 'zod'
import type { Config } from '../../config/index.ts'
import { isSigningAlgorithm, postQuantumAlgorithms, signingAlgorithms } from '../../crypto/keys.ts'
import { announcedAt, rules } from '../../keys/life-cycle.ts'
import { revoke } from '../../keys/revocation.ts'
import { advance, ahead } from '../../keys/rotation.ts'
import * as keys from '../../stores/keys/keys.ts'
import { type Operation, type OperationContext, OperationError, operation } from '../operation.ts'

const purpose = z
  .enum([...signingAlgorithms, ...postQuantumAlgorithms, 'cookie-key', 'dpop-nonce'])
  .describe('The purpose of the key: an algorithm, cookie-key or dpop-nonce.')

const shownKey = z.object({
  kid: z.string(),
  purpose: z.string(),
  state: z.enum(keys.states),
  kept_in: z.enum(['database', 'service', 'nowhere']).describe('Where its private part is kept.'),
  created_at: z.string(),
  published_at: z.string().optional(),
  active_at: z.string().optional(),
  retired_at: z.string().optional(),
  removed_at: z.string().optional(),
  revoked_at: z.string().optional(),
  next: z
    .object({ step: z.string(), at: z.string() })
    .optional()
    .describe('The next step in its life, and when it happens.'),
})

/** Lists the operations on signing keys and on the secrets that processes share. None shows a secret part. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'keys',
      verb: 'list',
      summary: 'List keys, with the state and the next step of each',
      scope: 'postern:keys:read',
      http: { method: 'GET', path: '/keys' },
      input: z.strictObject({
        all: z.boolean().default(false).describe('Whether to list removed keys, too.'),
      }),
      output: z.object({ items: z.array(shownKey) }),
      async run({ tx, config }, { all }) {
        const known = await keys.list(tx)
        return { items: known.filter(({ state }) => all || state !== 'removed').map((key) => show(key, known, config)) }
      },
    }),
    operation({
      noun: 'keys',
      verb: 'rotate',
      summary: 'Let the next keys take over, now or as soon as they have been published for long enough',
      scope: 'postern:keys',
      http: { method: 'POST', path: '/keys/rotate' },
      input: z.strictObject({
        purpose: purpose.optional().describe('The purpose to rotate. Default: all that rotate.'),
      }),
      output: z.object({
        items: z.array(
          z.object({
            purpose: z.string(),
            kid: z.string().optional().describe('The key that takes over, if it exists already.'),
            takes_over_at: z
              .string()
              .describe(
                'When it begins to sign: now, or once it has been published for JWKS_CACHE_SECONDS, so that everybody knows it.',
              ),
            is_done: z
              .boolean()
              .describe('Whether it has taken over. Otherwise it takes over at that time without further action.'),
          }),
        ),
      }),
      async run(context, input) {
        await keys.lead(context.tx)
        const known = await keys.list(context.tx)
        const rotating = rules(context.config)
        const rotated = []
        for (const active of known.filter(({ state }) => state === 'active')) {
          if (!rotating.get(active.purpose)?.rotation) continue
          if (input.purpose === undefined || active.purpose === input.purpose) {
            rotated.push(await advance(context.tx, context.keys, active))
          }
        }
        if (rotated.length === 0) {
          throw new OperationError('conflict', {
            field: 'purpose',
            message: `There is no key${input.purpose ? ` for ${input.purpose}` : ''} that rotates under these settings.`,
          })
        }
        context.record({ type: 'keys.rotated', details: { keys: rotated } })
        return { items: rotated }
      },
    }),
    operation({
      noun: 'keys',
      verb: 'revoke',
      summary: 'Revoke a key that somebody else may have; everything that depends on it ends at once',
      scope: 'postern:keys',
      http: { method: 'POST', path: '/keys/{kid}/revoke' },
      isDestructive: true,
      input: z.strictObject({ kid: z.string().describe('The ID of the key, as `keys list` shows it.') }),
      output: z.object({
        kid: z.string(),
        purpose: z.string(),
        successor: z.string().optional().describe('The key that took over.'),
        invalidates: z.array(z.string()).describe('The consequences, a sentence each.'),
      }),
      run: (context, { kid }) => revokeKey(context, kid),
    }),
  ]
}

function show(key: keys.Key, all: readonly keys.Key[], config: Config): z.input<typeof shownKey> {
  const next = ahead(all, config).find(({ step }) => 'key' in step && step.key.id === key.id)
  const moment = (at: Date | undefined) => at?.toISOString()
  return {
    kid: key.id,
    purpose: key.purpose,
    state: key.state,
    kept_in: key.serviceReference !== undefined ? 'service' : key.isKept ? 'database' : 'nowhere',
    created_at: key.createdAt.toISOString(),
    published_at: moment(key.publishedAt),
    active_at: moment(key.activeAt),
    retired_at: moment(key.retiredAt),
    removed_at: moment(key.removedAt),
    revoked_at: moment(key.revokedAt),
    next: next && { step: next.step.kind, at: next.at.toISOString() },
  }
}

async function revokeKey(context: OperationContext, kid: string) {
  await keys.lead(context.tx)
  const key = (await keys.list(context.tx)).find(({ id }) => id === kid)
  if (!key) throw new OperationError('not-found', { field: 'kid', message: `There is no key ${kid}.` })
  if (key.revokedAt)
    throw new OperationError('conflict', { field: 'kid', message: `The key ${kid} is already revoked.` })
  if (!purpose.safeParse(key.purpose).success) {
    throw new OperationError('conflict', {
      field: 'kid',
      message: `The ${key.purpose} cannot be replaced: ${lastingReasons[key.purpose]}`,
    })
  }
  const at = new Date()
  const successor = await revoke(context.tx, context.keys, { key, at })
  context.record({ type: 'key.revoked', details: { kid, purpose: key.purpose, successor: successor?.id } })
  return { kid, purpose: key.purpose, successor: successor?.id, invalidates: invalidates(key, successor, context, at) }
}

const lastingReasons: Record<string, string> = {
  'pairwise-salt': 'every client with pairwise subjects would take every user for a new one.',
  pepper: 'user codes and throttled addresses are stored under hashes that depend on it.',
}

function invalidates(key: keys.Key, successor: keys.Key | undefined, { config }: OperationContext, at: Date): string[] {
  if (key.purpose === 'dpop-nonce') return ['A client with an earlier DPoP nonce receives a new one and tries again.']
  if (key.purpose === 'cookie-key') {
    return [
      'Everybody whose cookie it signed has to sign in again, and to start again whatever they had not finished.',
      'Tokens stay valid.',
    ]
  }
  if (!isSigningAlgorithm(key.purpose)) return []
  const rotation = rules(config).get(key.purpose)?.rotation
  const forgotten = new Date(at.getTime() + config.JWKS_CACHE_SECONDS * 1000)
  return [
    `Apps and APIs that fetch the keys from now on reject ID tokens, JWT access tokens and other ${key.purpose} signatures by it. Those that have cached the keys may accept them until ${forgotten.toISOString()} at the latest.`,
    'ID tokens signed by it are no longer accepted as id_token_hint: a person who signs out with one has to confirm, or sees that the request is not valid.',
    ...(successor && rotation && announcedAt(successor, rotation) > at
      ? [
          `The key that took over was published only recently: apps and APIs that have cached the keys, and do not fetch them again for an unknown key, reject new ${key.purpose} signatures until ${forgotten.toISOString()}.`,
        ]
      : []),
    'Opaque access tokens, refresh tokens, sessions and consents stay valid.',
  ]
}

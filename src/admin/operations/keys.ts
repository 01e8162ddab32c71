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
  .describe('What the key is for: an algorithm, cookie-key or dpop-nonce.')

const shownKey = z.object({
  kid: z.string(),
  purpose: z.string(),
  state: z.enum(keys.states),
  kept_in: z.enum(['database', 'service', 'nowhere']).describe('Where what it signs with is kept.'),
  created_at: z.string(),
  published_at: z.string().optional(),
  active_at: z.string().optional(),
  retired_at: z.string().optional(),
  removed_at: z.string().optional(),
  revoked_at: z.string().optional(),
  next: z.object({ step: z.string(), at: z.string() }).optional().describe('What happens to it next, and when.'),
})

/** Signing keys and the secrets that processes share. Nothing secret of them is ever shown. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'keys',
      verb: 'list',
      summary: 'List keys, what state each is in, and what happens to it next',
      scope: 'postern:keys:read',
      http: { method: 'GET', path: '/keys' },
      input: z.strictObject({
        all: z.boolean().default(false).describe('Whether to list removed ones, too. Default: false.'),
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
      summary: 'Have the next keys take over as soon as everybody has them, which mostly is now',
      scope: 'postern:keys',
      http: { method: 'POST', path: '/keys/rotate' },
      input: z.strictObject({ purpose: purpose.optional().describe('Which key. Default: all that rotate.') }),
      output: z.object({
        items: z.array(
          z.object({
            purpose: z.string(),
            kid: z.string().optional().describe('The key that takes over, unless it has yet to be made.'),
            takes_over_at: z
              .string()
              .describe(
                'When it signs: now, or once it has been published for JWKS_CACHE_SECONDS, so that nobody misses it.',
              ),
            is_done: z.boolean().describe('Whether it has taken over. Otherwise it does by itself, at that moment.'),
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
            message: `There is no key for ${input.purpose} that rotates under these settings.`,
          })
        }
        context.record({ type: 'keys.rotated', details: { keys: rotated } })
        return { items: rotated }
      },
    }),
    operation({
      noun: 'keys',
      verb: 'revoke',
      summary: 'End everything a key is good for at once, because somebody else may have it',
      scope: 'postern:keys',
      http: { method: 'POST', path: '/keys/{kid}/revoke' },
      isDestructive: true,
      input: z.strictObject({ kid: z.string().describe('The key, as `keys list` shows it.') }),
      output: z.object({
        kid: z.string(),
        purpose: z.string(),
        successor: z.string().optional().describe('The key that took over.'),
        invalidates: z.array(z.string()).describe('What this means for whom, a sentence each.'),
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
    throw new OperationError('conflict', { field: 'kid', message: `The key ${kid} is revoked already.` })
  if (!purpose.safeParse(key.purpose).success) {
    throw new OperationError('conflict', {
      field: 'kid',
      message: `The ${key.purpose} cannot be another: ${lastingReasons[key.purpose]}`,
    })
  }
  const at = new Date()
  const successor = await revoke(context.tx, context.keys, { key, at })
  context.record({ type: 'key.revoked', details: { kid, purpose: key.purpose, successor: successor?.id } })
  return { kid, purpose: key.purpose, successor: successor?.id, invalidates: invalidates(key, successor, context, at) }
}

const lastingReasons: Record<string, string> = {
  'pairwise-salt': 'everybody would become somebody else to every client that has pairwise subjects.',
  pepper: 'it is what user codes and throttled addresses are known by.',
}

function invalidates(key: keys.Key, successor: keys.Key | undefined, { config }: OperationContext, at: Date): string[] {
  if (key.purpose === 'dpop-nonce')
    return ['A client with a DPoP nonce from before is given a new one, and tries again.']
  if (key.purpose === 'cookie-key') {
    return [
      'Everybody whose cookie it signed has to sign in again, and to begin again what they were in the middle of.',
      'Tokens are as good as before.',
    ]
  }
  if (!isSigningAlgorithm(key.purpose)) return []
  const rotation = rules(config).get(key.purpose)?.rotation
  const forgotten = new Date(at.getTime() + config.JWKS_CACHE_SECONDS * 1000)
  return [
    `ID tokens, JWT access tokens and other ${key.purpose} signatures by it are refused by whoever asks for the keys from now on. Who remembers the keys goes on accepting them until ${forgotten.toISOString()} at the latest.`,
    'ID tokens signed by it are no longer accepted as id_token_hint: who signs out with one is asked whether they mean it, or told that the request is not valid.',
    ...(successor && rotation && announcedAt(successor, rotation) > at
      ? [
          `The key that took over was not published for long: who remembers the keys and does not ask for one they do not know refuses new ${key.purpose} signatures until ${forgotten.toISOString()}.`,
        ]
      : []),
    'Opaque access tokens, refresh tokens, sessions and consent are as good as before.',
  ]
}

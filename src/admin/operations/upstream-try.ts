import { z } from 'zod'
import { isAuthority, validMapped } from '../../accounts/upstream-sign-in.ts'
import { mapped } from '../../authentication/federation/mapping.ts'
import { issuerOf, upstreamOf } from '../../authentication/federation/settings.ts'
import * as stored from '../../stores/clients/upstream-providers.ts'
import { type Operation, operation } from '../operation.ts'
import { get, id } from './found-upstream-providers.ts'

/** Tries a provider out, without storing anything. */
export function upstreamTry(): Operation {
  return operation({
    noun: 'upstream',
    verb: 'try',
    summary: 'Read what a provider publishes, and show what its claims would become; nothing is stored',
    scope: 'postern:upstream',
    http: { method: 'POST', path: '/upstream-providers/{id}/try' },
    input: z.strictObject({
      id,
      claims: z
        .record(z.string(), z.unknown())
        .default({})
        .describe('Claims as the provider would send them, as JSON.'),
    }),
    output: z.object({
      id: z.string(),
      issuer: z.string(),
      metadata: z.record(z.string(), z.unknown()).optional().describe('What the provider publishes about itself.'),
      problem: z.string().optional().describe('Why it could not be read.'),
      claims: z.record(z.string(), z.unknown()).describe('The claims that an account would get.'),
      left_out: z.array(z.string()).describe('Claims of the rules that no account may have.'),
      is_authority: z.boolean().describe('Whether the provider decides about the domain of the address.'),
    }),
    async prepare({ database, storage, upstreamClient }, input) {
      const found = await stored.find(database.db, storage.envelope, input.id)
      if (!found) return undefined
      try {
        const configuration = await upstreamClient.discover(upstreamOf(found), { isFresh: true })
        return { metadata: { ...configuration.serverMetadata() } as Record<string, unknown> }
      } catch (error) {
        return { problem: reasonOf(error) }
      }
    },
    async run(context, input, tried) {
      const upstream = upstreamOf(await get(context, input.id))
      const claims = validMapped(upstream, input)
      context.record({ type: 'upstream.tried', details: { provider: input.id } })
      const { email } = input.claims
      return {
        id: input.id,
        issuer: issuerOf(upstream),
        ...tried,
        claims,
        left_out: Object.keys(mapped(upstream.settings.mapping, input.claims)).filter((name) => !(name in claims)),
        is_authority: typeof email === 'string' && isAuthority(upstream, email),
      }
    },
  })
}

function reasonOf(error: unknown): string {
  const reasons = []
  for (let at = error; at instanceof Error && reasons.length < 5; at = at.cause) reasons.push(at.message)
  return reasons.join(': ')
}

import { z } from 'zod'
import * as audit from '../stores/audit.ts'
import * as resourceServers from '../stores/resource-servers.ts'
import { type Operation, operation } from './operation.ts'

/** Resource servers: the APIs that access tokens are for. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'resource',
      verb: 'create',
      summary: 'Register a resource server, or change the one of that identifier',
      input: z.object({
        identifier: z
          .url()
          .refine((url) => !url.includes('#'), 'must have no fragment (RFC 8707 §2)')
          .describe('Its resource indicator: an absolute URI, and the audience of its tokens.'),
        name: z.string().max(200).optional().describe('Name shown to people.'),
        scopes: z
          .string()
          .transform((text) =>
            Object.fromEntries(
              text.split(',').map((entry) => {
                const [name = '', ...sentence] = entry.split('=')
                return [name.trim(), sentence.join('=').trim()]
              }),
            ),
          )
          .refine(
            (scopes) => Object.keys(scopes).every((name) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name)),
            'must be scope tokens (RFC 6749 §3.3)',
          )
          .describe('Its scopes, comma separated, each with an optional sentence: "read=Read your files,write".'),
        'token-format': z.enum(['opaque', 'jwt']).default('opaque').describe('opaque or jwt (RFC 9068).'),
        'token-ttl-seconds': z.coerce.number().int().positive().optional().describe('Lifetime of its access tokens.'),
        'client-id': z.string().optional().describe('The client it introspects tokens as.'),
      }),
      async run({ database: { db } }, input) {
        const server = {
          identifier: input.identifier,
          name: input.name ?? new URL(input.identifier).host,
          scopes: input.scopes,
          tokenFormat: input['token-format'],
          tokenTtlSeconds: input['token-ttl-seconds'],
          clientId: input['client-id'],
        }
        await db.transaction().execute(async (tx) => {
          await resourceServers.save(tx, server)
          await audit.append(tx, [{ type: 'resource.saved', details: { identifier: server.identifier } }])
        })
        return server
      },
    }),

    operation({
      noun: 'resource',
      verb: 'list',
      summary: 'List resource servers',
      input: z.object({}),
      run: ({ database: { db } }) => resourceServers.list(db),
    }),
  ]
}

import { z } from 'zod'
import { hostAsInUrls, isHost, list } from '../lists.ts'

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    context.addIssue({ code: 'custom', message: 'must be JSON' })
    return z.NEVER
  }
})

const trustedIssuer = z
  .strictObject({
    issuer: z.string().min(1),
    jwks: z.strictObject({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) }).optional(),
    jwks_uri: z.url({ protocol: /^https$/, error: 'must be an https URL' }).optional(),
  })
  .refine(({ jwks, jwks_uri }) => (jwks === undefined) !== (jwks_uri === undefined), {
    error: 'must have either jwks or jwks_uri',
  })

/** An issuer whose software statements are trusted (RFC 7591 §2.3): its exact `iss`, and where its keys are. */
export type TrustedIssuer = z.output<typeof trustedIssuer>

/** The ways to register a client without an administrator. */
export const registrationSettings = {
  OPEN_REGISTRATION: z
    .stringbool()
    .default(false)
    .describe('Let anyone register a client without a token, under the registration policy `open`.'),
  CLIENT_ID_METADATA_DOCUMENTS: list
    .refine((hosts) => hosts.every((host) => host === '*' || isHost(host.replace(/^\*\./, ''))), {
      error: 'must be * or hosts, comma separated, such as claude.ai or *.example.com',
    })
    .transform((hosts) => hosts.map((host) => host.replace(/[^*.].*$/, hostAsInUrls)))
    .describe(
      'Hosts whose client id metadata documents are accepted, comma separated, each with its port unless that is 443. An app then uses the address of its document as its client_id, under the registration policy `document`. `*.example.com` is every host below example.com, and `*` is any host.',
    ),
  SOFTWARE_STATEMENT_ISSUERS: json
    .pipe(
      z.array(trustedIssuer).refine((list) => new Set(list.map(({ issuer }) => issuer)).size === list.length, {
        error: 'must name each issuer once',
      }),
    )
    .default([])
    .describe(
      'Issuers whose software statements are trusted, as a JSON list. Each entry has an `issuer`, and its keys as `jwks_uri` or `jwks`.',
    ),
}

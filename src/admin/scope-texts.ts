import { z } from 'zod'
import { isOidcScope } from '../oidc/scopes.ts'
import { languageTag } from '../registration/localized.ts'

const sentence = z.string().max(200)
const sentences = z
  .record(languageTag, sentence)
  .refine((given) => Object.keys(given).length > 0, 'must have a language')

/** The schema of the scopes of an API, each with its sentence on the consent page, in one language or in several. */
export const scopes = z
  .record(
    z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be scope tokens (RFC 6749 §3.3)'),
    z.union([sentence, sentences]),
  )
  .refine((given) => Object.keys(given).length > 0, 'must have a scope')
  .refine((given) => !Object.keys(given).some((name) => name.startsWith('postern:')), 'must not begin with postern:')
  .refine((given) => !Object.keys(given).some(isOidcScope), {
    error: ({ input }) =>
      `must not have the names of OpenID Connect scopes: ${Object.keys(input as object)
        .filter(isOidcScope)
        .join(', ')}; put the name of the API first, such as notes:profile`,
  })

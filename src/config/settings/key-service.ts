import { z } from 'zod'
import { secret } from '../../secret.ts'
import type { Given, Mistake } from './mistake.ts'

/** The token with a PKCS #11 module that keeps the signing keys, if the database does not. */
export const keyServiceSettings = {
  PKCS11_MODULE: z
    .string()
    .startsWith('/', 'must be the absolute path of a PKCS #11 module, such as /usr/lib/softhsm/libsofthsm2.so')
    .optional()
    .describe(
      'Path of the PKCS #11 module of the token that keeps the signing keys. Default: the database keeps them.',
    ),
  PKCS11_TOKEN: z.string().optional().describe('Label of that token. Required with PKCS11_MODULE.'),
  PKCS11_PIN: z
    .string()
    .transform((pin) => secret(pin))
    .optional()
    .describe('User PIN of that token. With PKCS11_MODULE, this or PKCS11_PIN_FILE is required.'),
  PKCS11_PIN_FILE: z.string().optional().describe('Path of a file with the user PIN of that token.'),
}

/** Finds mistakes in the settings of the token taken together. */
export function* keyServiceMistakes({
  PKCS11_MODULE,
  PKCS11_TOKEN,
  PKCS11_PIN,
  PKCS11_PIN_FILE,
}: Given<typeof keyServiceSettings>): Generator<Mistake<typeof keyServiceSettings>> {
  if (PKCS11_PIN && PKCS11_PIN_FILE) yield { name: 'PKCS11_PIN', message: 'and PKCS11_PIN_FILE cannot both be set' }
  if (PKCS11_MODULE) {
    if (!PKCS11_TOKEN) yield { name: 'PKCS11_TOKEN', message: 'is required when PKCS11_MODULE is set' }
    if (!PKCS11_PIN && !PKCS11_PIN_FILE) {
      yield { name: 'PKCS11_PIN', message: 'or PKCS11_PIN_FILE is required when PKCS11_MODULE is set' }
    }
  } else if (PKCS11_TOKEN || PKCS11_PIN || PKCS11_PIN_FILE) {
    yield { name: 'PKCS11_MODULE', message: 'is required when other settings of its token are' }
  }
}

import { z } from 'zod'
import { secret } from '../../secret.ts'
import { seconds } from '../durations.ts'
import { findKeyMistake, keyRemedy } from '../key-encryption-keys.ts'
import type { Given, Mistake } from './mistake.ts'

const keyEncryptionKeys = z
  .string()
  .transform((value) => value.split(',').map((key) => key.trim()))
  .superRefine((list, context) => {
    const mistake = findKeyMistake(list)
    if (mistake) context.addIssue(`key ${mistake.position} ${mistake.problem}. ${keyRemedy}`)
  })
  .transform((list) => list.map((key) => secret(key)))

/** The keys that encrypt what is stored, and how signing keys rotate. */
export const keySettings = {
  ENCRYPTION_KEYS: keyEncryptionKeys
    .optional()
    .describe(
      'Key-encryption keys: 32 bytes each in base64, comma separated. The first encrypts, all of them decrypt. With DATABASE_URL, this or ENCRYPTION_KEYS_FILE is required. For the embedded PostgreSQL, a key is generated into DATA_DIR if none is given.',
    ),
  ENCRYPTION_KEYS_FILE: z
    .string()
    .optional()
    .describe(
      'Path of a file with the key-encryption keys, one a line, instead of ENCRYPTION_KEYS. Blank lines and lines that begin with # are skipped.',
    ),
  KEY_ROTATION_SECONDS: seconds.default(2_592_000).describe('How long a key signs before the next one takes over.'),
  JWKS_CACHE_SECONDS: seconds
    .default(3600)
    .describe(
      'How long relying parties may cache the published keys. A new key is published for that long before it signs.',
    ),
}

/** Finds mistakes in the settings of the keys taken together. */
export function* keyMistakes({
  DATABASE_URL,
  ENCRYPTION_KEYS,
  ENCRYPTION_KEYS_FILE,
}: Given<typeof keySettings> & { DATABASE_URL?: unknown }): Generator<Mistake<typeof keySettings>> {
  if (DATABASE_URL && !ENCRYPTION_KEYS && !ENCRYPTION_KEYS_FILE) {
    yield { name: 'ENCRYPTION_KEYS', message: `is required when DATABASE_URL is set. ${keyRemedy}` }
  }
  if (ENCRYPTION_KEYS && ENCRYPTION_KEYS_FILE) {
    yield {
      name: 'ENCRYPTION_KEYS_FILE',
      message: 'cannot be set together with ENCRYPTION_KEYS: leave out the one that is not meant',
    }
  }
}

import { z } from 'zod'

/** The rules for accounts. */
export const accountSettings = {
  PASSWORD_MIN_LENGTH: z.coerce
    .number()
    .int()
    .min(8, 'must be at least 8')
    .max(64, 'must be at most 64')
    .default(8)
    .describe(
      'The fewest characters of a new password. NIST SP 800-63B-4 requires 15 where a password is all that a sign-in needs, and 8 beside a second factor. Older passwords still work. See docs/passwords.md.',
    ),
}

import { z } from 'zod'
import { domains } from '../domains.ts'
import type { Mistake } from './mistake.ts'

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
  PASSWORD_RECOVERY: z
    .stringbool()
    .default(true)
    .describe(
      'Let people who forgot their password choose another one by a link that is mailed to them. Turn it off where no mail can be sent, or where administrators set passwords.',
    ),
  SIGN_IN_BY_CODE: z
    .stringbool()
    .default(false)
    .describe(
      'Let people sign in with a code that is mailed to them, in place of their password. Whoever reads their mail can then sign in.',
    ),
  SIGN_UP: z
    .enum(['closed', 'invitation', 'open'])
    .default('closed')
    .describe(
      'Who may create an account: nobody but administrators, people whom an administrator invites by mail, or anybody with an email address.',
    ),
  SIGN_UP_ALLOWED_DOMAINS: domains.describe(
    'Domains of the email addresses that may sign up, comma separated, such as example.com or *.example.com. Empty means all. People may change their address only to one of these; an administrator may give an account any.',
  ),
  SIGN_UP_REFUSED_DOMAINS: domains.describe(
    'Domains of the email addresses that may not sign up, and that nobody may change their address to, comma separated. They win over SIGN_UP_ALLOWED_DOMAINS.',
  ),
  SIGN_UPS_PER_NETWORK_PER_HOUR: z.coerce
    .number()
    .int()
    .positive()
    .default(10)
    .describe(
      'How many sign-ups one IPv4 address or /64 network may begin in an hour without further ado. Beyond that, the browser has to compute for some seconds, or the person to wait a minute; ten times as many are refused.',
    ),
  TERMS_VERSION: z
    .string()
    .max(100)
    .optional()
    .describe(
      'The version of the terms at BRAND_TERMS_URL, such as 2026-11. People accept it when they sign up, and again at their next sign-in when it changes. Unset means that there is nothing to accept.',
    ),
}

/** Finds mistakes in the settings for accounts, read together with those of the brand. */
export function* accountMistakes({
  TERMS_VERSION,
  BRAND_TERMS_URL,
}: {
  TERMS_VERSION?: unknown
  BRAND_TERMS_URL?: unknown
}): Generator<Mistake<{ BRAND_TERMS_URL: unknown }>> {
  if (TERMS_VERSION !== undefined && BRAND_TERMS_URL === undefined) {
    yield {
      name: 'BRAND_TERMS_URL',
      message: 'is required with TERMS_VERSION, so that people can read what they accept',
    }
  }
}

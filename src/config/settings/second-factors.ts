import { z } from 'zod'
import { secondsOrNone } from '../durations.ts'
import { list } from '../lists.ts'

const strengths = ['mail', 'single', 'two-step', 'two-factor', 'phishing-resistant'] as const

/** A level of the operator, written `acr=strength` or `acr=strength:seconds`. */
const level = z
  .string()
  .regex(
    /^[\x21\x23-\x2b\x2d-\x3c\x3e-\x5b\x5d-\x7e]+=[a-z-]+(:\d{1,8})?$/,
    'must be written acr=strength or acr=strength:seconds',
  )
  .transform((text) => {
    const [acr = '', rule = ''] = text.split('=')
    const [strength = '', seconds] = rule.split(':')
    return { acr, strength, maxAgeSeconds: seconds === undefined ? undefined : Number(seconds) }
  })
  .pipe(
    z.object({
      acr: z.string(),
      strength: z.enum(strengths, `must name one of ${strengths.join(', ')}`),
      maxAgeSeconds: z.union([z.undefined(), z.number().int().positive('must be at least 1 second')]),
    }),
  )

/** The rules for second factors, and what sign-ins are called in tokens. */
export const secondFactorSettings = {
  SECOND_FACTOR: z
    .enum(['off', 'optional', 'required'])
    .default('optional')
    .describe(
      'Whether people sign in with a second factor beside their password: nobody, those who set one up, or everybody. See docs/second-factors.md.',
    ),
  SECOND_FACTOR_GROUPS: list.describe(
    'Groups whose members need a second factor, whatever SECOND_FACTOR says, comma separated.',
  ),
  SECOND_FACTOR_GRACE_SECONDS: secondsOrNone
    .default(0)
    .describe(
      'How long a person can put off setting up a required second factor, counted from their first sign-in after it became required.',
    ),
  REMEMBER_DEVICE_DAYS: z.coerce
    .number()
    .int()
    .min(0)
    .max(365, 'must be at most 365')
    .default(30)
    .describe(
      'How many days people can have a browser remembered after they gave a second factor there, so that it asks for none again. Apps that ask for a level are not affected. 0 means never.',
    ),
  MAIL_SECOND_FACTOR: z
    .stringbool()
    .default(false)
    .describe(
      'Accept a code by mail as a second factor beside the password. It is a weak one: it never counts for the multi-factor level that an app asks for.',
    ),
  ACR_LEVELS: list
    .pipe(z.array(level))
    .describe(
      'Further levels of signing in that apps can ask for with acr_values, comma separated, each written acr=strength or acr=strength:seconds. The strength is mail, single, two-step, two-factor or phishing-resistant; the seconds say how long a sign-in is enough for the level. A level that Postern has already is replaced.',
    ),
}

import { z } from 'zod'
import { seconds } from '../durations.ts'

/** The claims that can be left to the person. Groups and roles cannot: they are what apps decide by. */
// biome-ignore format: it is a list
const editableClaims = ['name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'profile', 'picture', 'website', 'gender', 'birthdate', 'zoneinfo', 'locale', 'phone_number', 'address'] as const

export type EditableClaim = (typeof editableClaims)[number]

const isEditable = (name: string): name is EditableClaim => editableClaims.some((claim) => claim === name)

/** The settings of the pages at /account. */
export const accountPageSettings = {
  EDITABLE_CLAIMS: z
    .string()
    .default('name,given_name,family_name,nickname,birthdate,phone_number,address,website,locale,zoneinfo')
    .transform((value, context) => {
      const names = value
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '' && name !== 'none')
      const unknown = names.filter((name) => !isEditable(name))
      if (unknown.length > 0) {
        const known = editableClaims.join(', ')
        context.addIssue({ code: 'custom', message: `cannot have ${unknown.join(', ')}; the claims are ${known}` })
      }
      return names.filter(isEditable)
    })
    .describe(
      'The claims that people change themselves at /account, comma separated, in the order of the form; `none` for no claim. preferred_username, picture, profile, gender and middle_name are possible too. Leave out what your apps rely on.',
    ),
  STAY_SIGNED_IN: z
    .enum(['ask', 'always', 'never'])
    .default('ask')
    .describe(
      'Whether people stay signed in when they close the browser: unless they tick that the computer is not theirs, always, or never. Otherwise the sign-in ends with the browser, or after an hour without use.',
    ),
  DELETION_GRACE_SECONDS: seconds
    .default(1_209_600)
    .describe('How long a person who deleted their account can come back. Until then nobody can use the account.'),
}

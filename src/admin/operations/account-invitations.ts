import { z } from 'zod'
import { emailAddress } from '../../accounts/email-addresses.ts'
import { groupName } from '../../accounts/groups.ts'
import * as invitation from '../../accounts/invitation.ts'
import * as profile from '../../accounts/profile.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { show, shownAccount } from './found-accounts.ts'
import { assertPasswords } from './new-passwords.ts'

/** Lists the operations on invitations. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'account',
      verb: 'invite',
      summary: 'Create an account and mail its owner a link to choose a password; again, send the mail again',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/invitations', status: 201 },
      input: z.strictObject({
        email: emailAddress.describe('Email address, which is also the sign-in name. The invitation goes there.'),
        name: profile.fullName.optional().describe('Full name.'),
        groups: z.array(groupName).max(1_000).optional().describe('The groups of the person.'),
        claims: profile.claims
          .optional()
          .describe(
            'Further claims as JSON, such as {"given_name":"Ada","locale":"de"}. The mail is in that language.',
          ),
      }),
      output: shownAccount,
      async run(context, input) {
        assertPasswords(context.config)
        const invited = await invitation.invite(context, {
          email: input.email,
          profile: {
            ...input.claims,
            ...(input.name !== undefined && { name: input.name }),
            ...(input.groups && { groups: input.groups }),
          },
          invitedBy: context.by.actor,
        })
        if (invited === 'email-taken') {
          const message = `The account with the address ${input.email} has a password already, or is disabled.`
          throw new OperationError('conflict', { field: 'email', message })
        }
        return show(invited)
      },
    }),
  ]
}

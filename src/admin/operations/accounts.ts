import { z } from 'zod'
import { emailAddress } from '../../accounts/email-addresses.ts'
import { groupName } from '../../accounts/groups.ts'
import * as profile from '../../accounts/profile.ts'
import * as removal from '../../accounts/removal.ts'
import * as accounts from '../../stores/people/accounts.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'
import { account, find, get, show, shownAccount, unknown } from './found-accounts.ts'
import { acceptable, newPassword } from './new-passwords.ts'

const email = emailAddress.describe('Email address, which is also the sign-in name.')
const claims = profile.claims.describe('Further claims as JSON, such as {"given_name":"Ada","groups":["staff"]}.')

/** Lists the operations on accounts, which are the people who sign in. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'account',
      verb: 'create',
      summary: 'Create an account that can sign in',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts', status: 201 },
      input: z.strictObject({
        email,
        password: newPassword,
        name: profile.fullName.optional().describe('Full name.'),
        email_verified: z.boolean().default(false).describe('Whether you know that the address belongs to the person.'),
        claims: claims.optional(),
      }),
      output: shownAccount,
      prepare: (dependencies, { email, password, name, claims }) =>
        acceptable(dependencies, password, { email, name: name ?? claims?.['name'] }),
      async run(context, input, passwordHash) {
        const created = await profile.create(context, {
          email: input.email,
          emailVerified: input.email_verified,
          profile: { ...input.claims, ...(input.name !== undefined && { name: input.name }) },
          passwordHash,
        })
        if (created === 'email-taken') throw emailTaken(input.email)
        return show(created)
      },
    }),

    operation({
      noun: 'account',
      verb: 'list',
      summary: 'List accounts, oldest first',
      scope: 'postern:accounts:read',
      http: { method: 'GET', path: '/accounts' },
      input: z.strictObject({
        ...listInput,
        group: groupName.optional().describe('Only accounts in this group.'),
      }),
      output: listOutput(shownAccount),
      columns: ['id', 'email', 'email_verified', 'disabled'],
      run: ({ tx, storage }, { cursor, limit, group }) =>
        page(storage.envelope, {
          list: group === undefined ? 'accounts' : `accounts in ${group}`,
          cursor,
          limit,
          read: (options) => accounts.list(tx, { ...options, group }),
          positionOf: ({ createdAt, id }) => ({ at: createdAt, id }),
          show,
        }),
    }),

    operation({
      noun: 'account',
      verb: 'show',
      summary: 'Show an account',
      scope: 'postern:accounts:read',
      http: { method: 'GET', path: '/accounts/{account}' },
      input: z.strictObject({ account }),
      output: shownAccount,
      run: async ({ tx }, input) => show(await get(tx, input.account)),
    }),

    operation({
      noun: 'account',
      verb: 'update',
      summary: 'Change the address or claims of an account',
      scope: 'postern:accounts',
      http: { method: 'PATCH', path: '/accounts/{account}' },
      input: z.strictObject({
        account,
        email: email.optional(),
        email_verified: z
          .boolean()
          .optional()
          .describe('Whether the address is known to belong to the person. A new address is not, unless you say so.'),
        claims: claims.optional().describe('Further claims as JSON, which replace all that the account has.'),
      }),
      output: shownAccount,
      async run(context, input) {
        const { id } = await get(context.tx, input.account)
        const changed = await profile.change(context, id, {
          email: input.email,
          emailVerified: input.email_verified,
          profile: input.claims,
        })
        if (changed === 'email-taken') throw emailTaken(input.email)
        if (changed === 'no-account') throw unknown(input.account)
        return show(changed)
      },
    }),

    operation({
      noun: 'account',
      verb: 'delete',
      summary: 'Delete an account and its sessions, grants and tokens',
      scope: 'postern:accounts',
      http: { method: 'DELETE', path: '/accounts/{account}', status: 204 },
      isDestructive: true,
      input: z.strictObject({ account }),
      output: z.object({ id: z.string(), deleted: z.literal(true) }),
      async run(context, input) {
        const { id } = await get(context.tx, input.account)
        await removal.destroy(context, id)
        return { id, deleted: true as const }
      },
    }),

    operation({
      noun: 'account',
      verb: 'erase',
      summary: 'Delete an account and remove its identity from the audit',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/{account}/erase' },
      isDestructive: true,
      input: z.strictObject({
        account: z
          .string()
          .min(1)
          .max(320)
          .describe('The ID of the account, even if it was deleted earlier, or its email address.'),
      }),
      output: z.object({
        erased: z.literal(true),
        pseudonym: z.string().describe('The name that replaces its ID in its audit events.'),
        events: z.int().describe('The number of these events.'),
      }),
      async run(context, input) {
        const found = await find(context.tx, input.account)
        const erased = await removal.erase(context, found?.id ?? input.account)
        if (erased === 'no-account') throw unknown(input.account)
        return { erased: true as const, ...erased }
      },
    }),
  ]
}

const emailTaken = (address: string | undefined) =>
  new OperationError('conflict', {
    field: 'email',
    message: `There already is an account with the address ${address}.`,
  })

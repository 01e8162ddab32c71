import { z } from 'zod'
import * as access from '../../accounts/access.ts'
import * as passwords from '../../accounts/password.ts'
import type { Account } from '../../stores/people/accounts.ts'
import * as directoryAccounts from '../../stores/people/directory-accounts.ts'
import {
  type Operation,
  type OperationContext,
  type OperationDependencies,
  OperationError,
  operation,
} from '../operation.ts'
import { account, get, show, shownAccount, unknown } from './found-accounts.ts'
import { acceptable, assertPasswords, newPassword } from './new-passwords.ts'

/** Lists the operations that decide whether and how a person can sign in. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'account',
      verb: 'set-password',
      summary: 'Set the password of an account and sign it out everywhere',
      scope: 'postern:accounts',
      http: { method: 'PUT', path: '/accounts/{account}/password' },
      input: z.strictObject({
        account,
        password: newPassword,
        must_change: z
          .boolean()
          .default(false)
          .describe('Whether the person has to choose another password at the next sign-in.'),
      }),
      output: shownAccount,
      async prepare(dependencies, input) {
        const { id, email, profile } = await get(dependencies.database.db, input.account)
        await assertPasswordIsHere(dependencies, id)
        return acceptable(dependencies, input.password, { email, name: profile['name'] })
      },
      async run(context, input, passwordHash) {
        const found = await get(context.tx, input.account)
        if (!(await passwords.set(context, found.id, passwordHash, { mustChange: input.must_change })))
          throw unknown(input.account)
        return show(found)
      },
    }),

    change(
      'require-password-change',
      'Make a person choose another password at the next sign-in',
      async (context, { id, email }) => {
        assertPasswords(context.config)
        if (await passwords.requireChange(context, id)) return
        throw new OperationError('conflict', `The account ${email} has no password.`)
      },
    ),
    change('sign-out', 'End all sessions and tokens of an account', async (context, { id }) => {
      if (!(await access.signOut(context, id))) throw unknown(id)
    }),
    change('disable', 'Disable an account and end its sessions and tokens', (context, { id }) =>
      access.disable(context, id),
    ),
    change('enable', 'Let a disabled account sign in again', (context, { id }) => access.enable(context, id)),
  ]
}

/** Throws if people of the directory sign in to an account: only the directory can change their password. */
async function assertPasswordIsHere({ config, database: { db } }: OperationDependencies, id: string): Promise<void> {
  if (config.LDAP_URL.length === 0 || !(await directoryAccounts.findByAccount(db, id))) return
  throw new OperationError('conflict', 'The password of this account is kept in the LDAP directory. Change it there.')
}

/** Describes an operation that changes an account, takes nothing but the account, and shows it as it is then. */
function change(
  verb: string,
  summary: string,
  apply: (context: OperationContext, found: Account) => Promise<void>,
): Operation {
  return operation({
    noun: 'account',
    verb,
    summary,
    scope: 'postern:accounts',
    http: { method: 'POST', path: `/accounts/{account}/${verb}` },
    input: z.strictObject({ account }),
    output: shownAccount,
    async run(context, input) {
      const found = await get(context.tx, input.account)
      await apply(context, found)
      return show(await get(context.tx, found.id))
    },
  })
}

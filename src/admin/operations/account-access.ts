import { z } from 'zod'
import * as access from '../../accounts/access.ts'
import * as passwords from '../../accounts/password.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { account, get, show, shownAccount, unknown } from './found-accounts.ts'
import { acceptable, newPassword } from './new-passwords.ts'

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
        const { email, profile } = await get(dependencies.database.db, input.account)
        return acceptable(dependencies, input.password, { email, name: profile['name'] })
      },
      async run(context, input, passwordHash) {
        const found = await get(context.tx, input.account)
        if (!(await passwords.set(context, found.id, passwordHash, { mustChange: input.must_change })))
          throw unknown(input.account)
        return show(found)
      },
    }),

    operation({
      noun: 'account',
      verb: 'require-password-change',
      summary: 'Make a person choose another password at the next sign-in',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/{account}/require-password-change' },
      input: z.strictObject({ account }),
      output: shownAccount,
      async run(context, input) {
        const found = await get(context.tx, input.account)
        if (!(await passwords.requireChange(context, found.id)))
          throw new OperationError('conflict', `The account ${input.account} has no password.`)
        return show(found)
      },
    }),

    operation({
      noun: 'account',
      verb: 'sign-out',
      summary: 'End all sessions and tokens of an account',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/{account}/sign-out' },
      input: z.strictObject({ account }),
      output: shownAccount,
      async run(context, input) {
        const found = await get(context.tx, input.account)
        if (!(await access.signOut(context, found.id))) throw unknown(input.account)
        return show(found)
      },
    }),

    operation({
      noun: 'account',
      verb: 'disable',
      summary: 'Disable an account and end its sessions and tokens',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/{account}/disable' },
      input: z.strictObject({ account }),
      output: shownAccount,
      async run(context, input) {
        const found = await get(context.tx, input.account)
        await access.disable(context, found.id)
        return show({ ...found, isDisabled: true })
      },
    }),

    operation({
      noun: 'account',
      verb: 'enable',
      summary: 'Let a disabled account sign in again',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/{account}/enable' },
      input: z.strictObject({ account }),
      output: shownAccount,
      async run(context, input) {
        const found = await get(context.tx, input.account)
        await access.enable(context, found.id)
        return show({ ...found, isDisabled: false })
      },
    }),
  ]
}

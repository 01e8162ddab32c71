import { z } from 'zod'
import * as groups from '../../accounts/groups.ts'
import * as storedGroups from '../../stores/people/groups.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'
import { account, get, show, shownAccount } from './found-accounts.ts'

const group = groups.groupName.describe('The name of the group, or of a role.')

/** Lists the operations on groups, which apps see as the `groups` claim. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'account',
      verb: 'add-to-group',
      summary: 'Add an account to a group, which appears in the claim groups',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/{account}/add-to-group' },
      input: z.strictObject({ account, group }),
      output: shownAccount,
      async run(context, input) {
        const { id } = await get(context.tx, input.account)
        if ((await groups.add(context, id, input.group)) === 'not-a-list')
          throw new OperationError('conflict', `The claim groups of the account ${input.account} is not a list.`)
        return show(await get(context.tx, id))
      },
    }),

    operation({
      noun: 'account',
      verb: 'remove-from-group',
      summary: 'Remove an account from a group',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/{account}/remove-from-group' },
      input: z.strictObject({ account, group }),
      output: shownAccount,
      async run(context, input) {
        const { id } = await get(context.tx, input.account)
        await groups.remove(context, id, input.group)
        return show(await get(context.tx, id))
      },
    }),

    operation({
      noun: 'group',
      verb: 'list',
      summary: 'List the groups that have members, by name',
      scope: 'postern:accounts:read',
      http: { method: 'GET', path: '/groups' },
      input: z.strictObject(listInput),
      output: listOutput(z.object({ name: z.string(), members: z.int() })),
      run: ({ tx, storage }, { cursor, limit }) =>
        page(storage.envelope, {
          list: 'groups',
          cursor,
          limit,
          read: ({ after, limit }) => storedGroups.list(tx, { after: after?.id, limit }),
          positionOf: ({ name }) => ({ at: new Date(0), id: name }), // a group has no time
          show: (shown) => shown,
        }),
    }),
  ]
}

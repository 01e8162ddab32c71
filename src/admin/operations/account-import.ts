import { z } from 'zod'
import { importAll, importedAccount } from '../../accounts/import.ts'
import { type Operation, operation } from '../operation.ts'

/** The most accounts of one import. The command `account import` splits a file into several. */
export const mostAccounts = 1_000

// Each account is read by itself, so that a mistake in one does not reject the others.
const { $schema: _dialect, ...described } = z.toJSONSchema(importedAccount, { io: 'input', unrepresentable: 'any' })
const entry = z.unknown().meta(described)

/** The operation that imports accounts. */
export function importAccounts(): Operation {
  return operation({
    noun: 'account',
    verb: 'import',
    summary: 'Import accounts of another system, with the hashes of their passwords',
    scope: 'postern:accounts',
    http: { method: 'POST', path: '/accounts/import', isLarge: true },
    input: z.strictObject({
      accounts: z
        .array(entry)
        .min(1)
        .max(mostAccounts)
        .describe('The accounts. One whose address has an account already is skipped.'),
    }),
    output: z.object({
      created: z.int(),
      existing: z.int().describe('Accounts that were there already, and stay as they are.'),
      rejected: z.array(
        z.object({
          index: z.int().describe('The place of the account in the list, from 0.'),
          field: z.string().optional(),
          message: z.string(),
        }),
      ),
    }),
    run: (context, { accounts }) => importAll(context, accounts),
  })
}

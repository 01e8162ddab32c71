import { z } from 'zod'
import type { Tx } from '../../database/schema.ts'
import { secret } from '../../secret.ts'
import { pseudonymise } from '../../stores/operations/audit-retention.ts'
import * as accounts from '../../stores/people/accounts.ts'
import { emailAddress } from '../email-addresses.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'

const shortestPassword = 8 // NIST SP 800-63B §3.1.1.2 asks for at least this
const longestPassword = 1_024

const email = emailAddress.describe('Email address, which is also the sign-in name.')
const password = z
  .string()
  .min(shortestPassword, `must have at least ${shortestPassword} characters`)
  .max(longestPassword)
  .transform((value) => secret(value))
  .meta({ secret: true })
  .describe('Password.')
const account = z.string().min(1).max(320).describe('The id of the account, or its email address.')

// biome-ignore format: it is a list
const decidedByPostern = ['sub', 'email', 'email_verified', 'updated_at', 'iss', 'aud', 'exp', 'iat', 'nonce', 'acr', 'amr', 'azp']
const claims = z
  .record(z.string(), z.unknown())
  .refine((given) => !Object.keys(given).some((name) => decidedByPostern.includes(name)), {
    error: `cannot have ${decidedByPostern.join(', ')}, which Postern decides itself`,
  })
  .describe('Further claims as JSON, such as {"given_name":"Ada","groups":["staff"]}.')

const shownAccount = z.object({
  id: z.string(),
  email: z.string(),
  email_verified: z.boolean(),
  claims: z.record(z.string(), z.unknown()),
  disabled: z.boolean(),
})

const show = ({ id, email, emailVerified, profile, isDisabled }: accounts.Account): z.input<typeof shownAccount> => ({
  id,
  email,
  email_verified: emailVerified,
  claims: profile,
  disabled: isDisabled,
})

/** Accounts: the people who sign in. */
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
        password,
        name: z.string().max(200).optional().describe('Full name.'),
        email_verified: z.boolean().default(true).describe('Whether the address is known to be theirs.'),
        claims: claims.optional(),
      }),
      output: shownAccount,
      prepare: ({ passwords }, input) => passwords.hash(input.password.reveal()),
      async run({ tx, record }, input, passwordHash) {
        const created = await accounts.create(tx, {
          email: input.email,
          emailVerified: input.email_verified,
          profile: { ...input.claims, ...(input.name !== undefined && { name: input.name }) },
          passwordHash,
        })
        if (created === 'email-taken') {
          throw new OperationError('conflict', {
            field: 'email',
            message: `There already is an account with the address ${input.email}.`,
          })
        }
        record({ type: 'account.created', accountId: created.id })
        return show(created)
      },
    }),

    operation({
      noun: 'account',
      verb: 'list',
      summary: 'List accounts, oldest first',
      scope: 'postern:accounts:read',
      http: { method: 'GET', path: '/accounts' },
      input: z.strictObject(listInput),
      output: listOutput(shownAccount),
      columns: ['id', 'email', 'email_verified', 'disabled'],
      run: ({ tx, storage }, { cursor, limit }) =>
        page(storage.envelope, {
          list: 'accounts',
          cursor,
          limit,
          read: (options) => accounts.list(tx, options),
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
      summary: 'Change the address or the claims of an account',
      scope: 'postern:accounts',
      http: { method: 'PATCH', path: '/accounts/{account}' },
      input: z.strictObject({
        account,
        email: email.optional(),
        email_verified: z.boolean().optional().describe('Whether the address is known to be theirs.'),
        claims: claims.optional().describe('Claims, in place of all it has.'),
      }),
      output: shownAccount,
      async run({ tx, record }, input) {
        const { id } = await get(tx, input.account)
        const updated = await accounts.update(tx, id, {
          email: input.email,
          emailVerified: input.email_verified,
          profile: input.claims,
        })
        if (updated === 'email-taken') {
          throw new OperationError('conflict', {
            field: 'email',
            message: `There already is an account with the address ${input.email}.`,
          })
        }
        record({
          type: 'account.updated',
          accountId: id,
          details: { changed: Object.keys(input).filter((name) => name !== 'account') },
        })
        return show(await get(tx, id))
      },
    }),

    operation({
      noun: 'account',
      verb: 'set-password',
      summary: 'Give an account another password, and sign it out everywhere',
      scope: 'postern:accounts',
      http: { method: 'PUT', path: '/accounts/{account}/password' },
      input: z.strictObject({ account, password }),
      output: shownAccount,
      prepare: ({ passwords }, input) => passwords.hash(input.password.reveal()),
      async run({ tx, record }, input, passwordHash) {
        const found = await get(tx, input.account)
        // Whoever knew the old one may be signed in. First, because deleting an account locks it before its password.
        if (!(await accounts.signOutEverywhere(tx, found.id))) throw unknown(input.account)
        await accounts.setPasswordHash(tx, found.id, passwordHash)
        record({ type: 'account.password_set', accountId: found.id })
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
      async run({ tx, record }, input) {
        const found = await get(tx, input.account)
        await accounts.disable(tx, found.id)
        record({ type: 'account.disabled', accountId: found.id })
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
      async run({ tx, record }, input) {
        const found = await get(tx, input.account)
        await accounts.enable(tx, found.id)
        record({ type: 'account.enabled', accountId: found.id })
        return show({ ...found, isDisabled: false })
      },
    }),

    operation({
      noun: 'account',
      verb: 'delete',
      summary: 'Delete an account with its sessions, grants and tokens',
      scope: 'postern:accounts',
      http: { method: 'DELETE', path: '/accounts/{account}', status: 204 },
      isDestructive: true,
      input: z.strictObject({ account }),
      output: z.object({ id: z.string(), deleted: z.literal(true) }),
      async run({ tx, record }, input) {
        const { id } = await get(tx, input.account)
        await accounts.destroy(tx, id)
        record({ type: 'account.deleted', accountId: id })
        return { id, deleted: true as const }
      },
    }),

    operation({
      noun: 'account',
      verb: 'erase',
      summary: 'Delete an account, and have the audit forget who it was',
      scope: 'postern:accounts',
      http: { method: 'POST', path: '/accounts/{account}/erase' },
      isDestructive: true,
      input: z.strictObject({
        account: z
          .string()
          .min(1)
          .max(320)
          .describe('The id of the account, also of one deleted before, or its email address.'),
      }),
      output: z.object({
        erased: z.literal(true),
        pseudonym: z.string().describe('What its events in the audit are of from now on.'),
        events: z.int().describe('How many there are.'),
      }),
      async run({ tx, record }, input) {
        const found = await find(tx, input.account)
        const id = found?.id ?? input.account
        if (found) await accounts.destroy(tx, id)
        const { pseudonym, events } = await pseudonymise(tx, id)
        if (!found && events === 0) throw unknown(input.account)
        record({ type: 'account.erased', accountId: pseudonym })
        return { erased: true as const, pseudonym, events }
      },
    }),
  ]
}

async function get(tx: Tx, idOrEmail: string): Promise<accounts.Account> {
  const account = await find(tx, idOrEmail)
  if (!account) throw unknown(idOrEmail)
  return account
}

const find = (tx: Tx, idOrEmail: string) =>
  idOrEmail.includes('@') ? accounts.findByEmail(tx, idOrEmail) : accounts.findById(tx, idOrEmail)

const unknown = (idOrEmail: string) => new OperationError('not-found', `There is no account ${idOrEmail}.`)

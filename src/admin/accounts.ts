import { z } from 'zod'
import * as accounts from '../stores/accounts.ts'
import * as audit from '../stores/audit.ts'
import { type Operation, type OperationContext, operation } from './operation.ts'

const shortestPassword = 8 // NIST SP 800-63B §3.1.1.2 asks for at least this
const longestPassword = 1_024

const email = z.email().describe('Email address, which is also the sign-in name.')
const password = z
  .string()
  .min(shortestPassword, `must have at least ${shortestPassword} characters`)
  .max(longestPassword)
  .meta({ secret: true })
  .describe('Password. Left out, it is asked for, or read from standard input.')

/** Accounts: the people who sign in. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'account',
      verb: 'create',
      summary: 'Create an account that can sign in',
      input: z.object({
        email,
        password,
        name: z.string().max(200).optional().describe('Full name.'),
        'email-verified': z.stringbool().default(true).describe('Whether the address is known to be theirs.'),
        claims: z
          .string()
          .optional()
          .transform((text, ctx) => parseClaims(text, ctx))
          .describe('Further claims as JSON, such as {"given_name":"Ada","groups":["staff"]}.'),
      }),
      async run({ database: { db }, passwords }, input) {
        const passwordHash = await passwords.hash(input.password)
        const profile = { ...input.claims, ...(input.name !== undefined && { name: input.name }) }
        const created = await db.transaction().execute(async (tx) => {
          const account = await accounts.create(tx, {
            email: input.email,
            emailVerified: input['email-verified'],
            profile,
            passwordHash,
          })
          if (account !== 'email-taken') await audit.append(tx, [{ type: 'account.created', accountId: account.id }])
          return account
        })
        if (created === 'email-taken') throw new Error(`There already is an account with the address ${input.email}.`)
        return { id: created.id, email: created.email }
      },
    }),

    operation({
      noun: 'account',
      verb: 'list',
      summary: 'List accounts',
      input: z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(100).describe('At most this many.') }),
      async run({ database: { db } }, { limit }) {
        const list = await accounts.list(db, { limit })
        return list.map(({ id, email, isDisabled }) => ({ id, email, disabled: isDisabled }))
      },
    }),

    operation({
      noun: 'account',
      verb: 'set-password',
      summary: 'Give an account another password, and sign it out everywhere',
      input: z.object({ email, password }),
      async run(context, input) {
        const account = await get(context, input.email)
        const hash = await context.passwords.hash(input.password)
        await context.database.db.transaction().execute(async (tx) => {
          await accounts.setPasswordHash(tx, account.id, hash)
          await accounts.signOutEverywhere(tx, account.id) // whoever knew the old one may be signed in
          await audit.append(tx, [{ type: 'account.password_set', accountId: account.id }])
        })
        return { id: account.id, email: account.email }
      },
    }),

    operation({
      noun: 'account',
      verb: 'disable',
      summary: 'Disable an account and end its sessions and tokens',
      input: z.object({ email }),
      async run(context, input) {
        const account = await get(context, input.email)
        await context.database.db.transaction().execute(async (tx) => {
          await accounts.disable(tx, account.id)
          await audit.append(tx, [{ type: 'account.disabled', accountId: account.id }])
        })
        return { id: account.id, email: account.email, disabled: true }
      },
    }),

    operation({
      noun: 'account',
      verb: 'enable',
      summary: 'Let a disabled account sign in again',
      input: z.object({ email }),
      async run(context, input) {
        const account = await get(context, input.email)
        await context.database.db.transaction().execute(async (tx) => {
          await accounts.enable(tx, account.id)
          await audit.append(tx, [{ type: 'account.enabled', accountId: account.id }])
        })
        return { id: account.id, email: account.email, disabled: false }
      },
    }),
  ]
}

async function get({ database: { db } }: OperationContext, email: string): Promise<accounts.Account> {
  const account = await accounts.findByEmail(db, email)
  if (!account) throw new Error(`There is no account with the address ${email}.`)
  return account
}

const reservedClaims = ['sub', 'email', 'email_verified', 'iss', 'aud', 'exp', 'iat', 'nonce', 'acr', 'amr', 'azp']

function parseClaims(text: string | undefined, ctx: z.RefinementCtx): Record<string, unknown> {
  if (text === undefined) return {}
  let claims: unknown
  try {
    claims = JSON.parse(text)
  } catch {
    // reported below, with everything else that is not an object
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
    ctx.addIssue({ code: 'custom', message: 'must be a JSON object' })
    return z.NEVER
  }
  const reserved = Object.keys(claims).find((name) => reservedClaims.includes(name))
  if (reserved) {
    ctx.addIssue({ code: 'custom', message: `cannot set ${reserved}, which Postern decides itself` })
    return z.NEVER
  }
  return claims as Record<string, unknown>
}

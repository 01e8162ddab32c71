import type { Context } from 'koa'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import * as addresses from '../../accounts/addresses.ts'
import { emailAddress } from '../../accounts/email-addresses.ts'
import { isAllowedAddress } from '../../accounts/sign-up.ts'
import type { MailLimits } from '../../authentication/mail-limits.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import { canonicalEmail } from '../../stores/people/accounts.ts'
import * as addressChanges from '../../stores/people/address-changes.ts'
import type { AccountEmailError, AccountEmailPage } from '../../views/pages/account-email.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import type { Csrf } from '../csrf.ts'
import type { SignUp } from '../interactions/sign-up-begin.ts'
import { createNotes, type Notes } from '../notes.ts'
import { type AccountHandler, accountForm } from './handler.ts'

export const emailForm = accountForm.extend({ email: z.string().max(1_024).default('') })

/** The result of a form, which the page shows next. */
export type EmailNote = { done: AccountEmailPage['done'] } | { error: AccountEmailError; typed: string }

/** The link that a person opened before they signed in. */
export type ConfirmNote = { token: string }

/** The path that leads a person who has signed in back to the link of their new address. */
export const confirmPath = '/account/email/confirm'

/** Creates the notes that keep such a link while its owner signs in. */
export const createConfirmNotes = ({ isSecure }: { isSecure: boolean }): Notes<ConfirmNote> =>
  createNotes({ isSecure, keptSeconds: 3_600, acrossSignIns: true })

const path = '/account/email'

export type EmailChange = {
  show: AccountHandler<unknown>
  request: AccountHandler<z.output<typeof emailForm>>
  sendAgain: AccountHandler<unknown>
  cancel: AccountHandler<unknown>
  verify: AccountHandler<unknown>
}

/** Creates the page about a person's address, and the handlers of its forms. */
export function emailChange({
  db,
  act,
  render,
  csrf,
  signUp,
  mailLimits,
  emailNotes,
}: {
  db: Db
  act: Acting
  render: Render
  csrf: Csrf
  signUp: Pick<SignUp, 'rules'>
  mailLimits: MailLimits
  emailNotes: Notes<EmailNote>
}): EmailChange {
  const leadBack = (ctx: Context, note: EmailNote) => {
    emailNotes.leave(ctx, path, note)
    ctx.status = 303
    ctx.redirect(path)
  }
  const isAllowed = (ctx: Context, email: string) =>
    mailLimits({ kind: 'link', email: canonicalEmail(email), address: ctx.ip })

  return {
    async show(ctx, { account, sessionUid }) {
      const waiting = await addressChanges.find(db, account.id)
      const note = emailNotes.take(ctx, path)
      const refused = note && 'error' in note ? note : undefined
      if (refused) ctx.status = refused.error === 'too-many' ? 429 : 400
      ctx.body = render(readerOf(ctx), 'account-email', {
        csrf: csrf.tokenOfSession(sessionUid),
        email: account.email,
        isVerified: account.emailVerified,
        waiting,
        done: note && 'done' in note ? note.done : undefined,
        typed: refused?.typed ?? '',
        error: refused?.error,
      })
    },

    async request(ctx, { account }, { email: typed }) {
      const email = typed.trim()
      if (!emailAddress.safeParse(email).success) return leadBack(ctx, { error: 'no-address', typed })
      if (canonicalEmail(email) === canonicalEmail(account.email)) return leadBack(ctx, { error: 'same', typed })
      // The rules of signing up: otherwise somebody would sign up with one address and change to another.
      if (!isAllowedAddress(email, signUp.rules)) return leadBack(ctx, { error: 'domain', typed })
      if (!(await isAllowed(ctx, email))) return leadBack(ctx, { error: 'too-many', typed })
      const asked = { email, language: readerOf(ctx).language }

      await act(byPerson(ctx), (context) => addresses.requestChange(context, account.id, asked))

      leadBack(ctx, { done: 'requested' })
    },

    async sendAgain(ctx, { account }) {
      const waiting = await addressChanges.find(db, account.id)
      if (waiting === undefined) return leadBack(ctx, { done: undefined })
      if (!(await isAllowed(ctx, waiting))) return leadBack(ctx, { error: 'too-many', typed: '' })
      const { language } = readerOf(ctx)

      await act(byPerson(ctx), (context) => addresses.sendAgain(context, account.id, { language }))

      leadBack(ctx, { done: 'sent-again' })
    },

    async cancel(ctx, { account }) {
      await act(byPerson(ctx), (context) => addresses.cancelChange(context, account.id))

      leadBack(ctx, { done: 'cancelled' })
    },

    async verify(ctx, { account }) {
      if (account.emailVerified) return leadBack(ctx, { done: undefined })
      if (!(await isAllowed(ctx, account.email))) return leadBack(ctx, { error: 'too-many', typed: '' })
      const { language } = readerOf(ctx)

      await act(byPerson(ctx), async (context) => addresses.requestProof(context, account, { language }))

      leadBack(ctx, { done: 'proof-sent' })
    },
  }
}

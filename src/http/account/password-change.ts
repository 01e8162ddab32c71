import type { Context } from 'koa'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import type { DirectoryAccounts } from '../../accounts/directory-sign-in.ts'
import type { AcceptPassword } from '../../accounts/new-passwords.ts'
import * as passwords from '../../accounts/password.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { NewPasswordError } from '../../views/pages/recovery.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import type { Csrf } from '../csrf.ts'
import type { BrowserSignIn } from '../interactions/browser-sign-in.ts'
import type { Notes } from '../notes.ts'
import { type AccountHandler, accountForm } from './handler.ts'
import { isRecent, leadToSignIn, type SignedIn } from './signed-in.ts'

export const passwordForm = accountForm.extend({
  old_password: z.string().max(1_024).default(''),
  password: z.string().max(1_024).default(''),
  sign_out: z.string().optional(),
})

/** The result of the form, which the page shows next. */
export type PasswordNote = { isDone: true } | { error: NewPasswordError; retryAfterSeconds?: number | undefined }

const path = '/account/password'

const errorOf = {
  'wrong-credentials': 'wrong-old-password',
  'too-many-attempts': 'too-many-attempts',
  busy: 'busy',
  unavailable: 'busy',
} as const

/** Creates the page where a person changes their password, and the handler of its form. */
export function passwordChange({
  db,
  act,
  render,
  csrf,
  signIn,
  acceptPassword,
  passwordMinLength,
  passwordNotes,
  issuer,
  directory,
}: {
  db: Db
  act: Acting
  render: Render
  csrf: Csrf
  signIn: BrowserSignIn
  acceptPassword: AcceptPassword
  passwordMinLength: number
  passwordNotes: Notes<PasswordNote>
  issuer: string
  directory: DirectoryAccounts | undefined
}): { show: AccountHandler<unknown>; submit: AccountHandler<z.output<typeof passwordForm>> } {
  const leadBack = (ctx: Context, note?: PasswordNote) => {
    if (note) passwordNotes.leave(ctx, path, note)
    ctx.status = 303
    ctx.redirect(path)
  }

  return {
    async show(ctx, person) {
      const note = passwordNotes.take(ctx, path)
      if (note && 'isDone' in note) {
        const next = { href: '/account', kind: 'account' } as const
        ctx.body = render(readerOf(ctx), 'link-done', { outcome: 'password-set', email: person.account.email, next })
        return
      }
      if (await isInDirectory(person)) {
        const { email } = person.account
        ctx.body = render(readerOf(ctx), 'directory-password', {
          email,
          passwordUrl: directory?.passwordUrl,
          back: '/account/security',
        })
        return
      }
      const asksForOld = !isRecent(person)
      if (asksForOld && !(await accounts.hasPassword(db, person.account.id))) return askToSignIn(ctx)
      const { error, retryAfterSeconds } = note ?? {}
      if (error) ctx.status = error === 'busy' ? 503 : error === 'too-many-attempts' ? 429 : 400
      ctx.body = render(readerOf(ctx), 'new-password', {
        action: path,
        hidden: { csrf: csrf.tokenOfSession(person.sessionUid) },
        occasion: 'change',
        email: person.account.email,
        minLength: passwordMinLength,
        asksForOld,
        offersSignOut: true,
        error,
        retryAfterSeconds,
      })
    },

    async submit(ctx, person, { old_password, password, sign_out }) {
      const { account, sessionUid, isLasting } = person
      if (await isInDirectory(person)) return leadBack(ctx)
      if (!isRecent(person)) {
        if (!(await accounts.hasPassword(db, account.id))) return askToSignIn(ctx)
        const known = await signIn(ctx, { email: account.email, password: old_password, isLasting })
        if ('error' in known) {
          const error = errorOf[known.error]
          return leadBack(ctx, { ...known, error })
        }
      }
      const accepted = await acceptPassword(password, account)
      if ('flaw' in accepted) return leadBack(ctx, { error: accepted.flaw })
      const choice = { hash: accepted.hash, origin: 'changed', signsOut: sign_out !== undefined } as const

      await act(byPerson(ctx), (context) =>
        passwords.choose(context, account.id, { ...choice, keptSessionUid: sessionUid }),
      )

      leadBack(ctx, { isDone: true })
    },
  }

  /** Returns whether the password of a person is that of the directory, where only the directory can change it. */
  async function isInDirectory({ account }: SignedIn): Promise<boolean> {
    return (await directory?.has(account.id)) ?? false
  }

  function askToSignIn(ctx: Context): void {
    leadToSignIn(ctx, { issuer, returnTo: path, mustBeRecent: true })
  }
}

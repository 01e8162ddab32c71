import { z } from 'zod'
import * as recovery from '../../accounts/recovery.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Confirmation } from '../../stores/people/confirmations.ts'
import type { LinkDonePage } from '../../views/pages/recovery.ts'
import { byPerson } from '../by-person.ts'
import { readForm } from '../forms.ts'
import type { LinkDependencies } from './dependencies.ts'
import { interactionHere, type LinkHandler, type LinkNotes, leadBack, linkPath } from './link.ts'

export const passwordForm = z.object({
  password: z.string().max(1_024).default(''),
  sign_out: z.string().optional(),
})

/** Creates the page where a person chooses a password by the link of a mail. */
export function passwordChoose(
  { db, render, act, acceptPassword, passwordMinLength, notes }: LinkDependencies & { notes: LinkNotes },
  occasion: 'reset' | 'invitation',
): LinkHandler {
  return {
    async show(ctx, { token, confirmation: { email, accountId } }, note) {
      const account = await accounts.findById(db, String(accountId))
      const error = note?.page === 'form' ? note.error : undefined
      if (error) ctx.status = error === 'busy' ? 503 : 400
      ctx.body = render(readerOf(ctx), 'new-password', {
        action: linkPath(token),
        hidden: {},
        occasion,
        email,
        minLength: passwordMinLength,
        asksForOld: false,
        // The first proof of an address always signs out.
        offersSignOut: occasion === 'reset' && account?.emailVerified === true,
        error,
        retryAfterSeconds: undefined,
      })
    },

    async submit(ctx, { token, confirmation }) {
      const { password, sign_out } = readForm(ctx, passwordForm)
      const account = await accounts.findById(db, String(confirmation.accountId))
      if (!account) return leadBack(ctx, notes, token, { page: 'end', reason: 'void' })
      const accepted = await acceptPassword(password, account)
      if ('flaw' in accepted) return leadBack(ctx, notes, token, { page: 'form', error: accepted.flaw })

      const choice = { hash: accepted.hash, signsOut: occasion === 'reset' && sign_out !== undefined }
      const redeemed = await act(byPerson(ctx), (context) => recovery.resetPassword(context, token, choice))

      if (redeemed === 'gone') return leadBack(ctx, notes, token, { page: 'end', reason: 'used' })
      const { email } = redeemed
      leadBack(ctx, notes, token, { page: 'done', outcome: 'password-set', email, next: nextOf(redeemed) })
    },
  }
}

/** Returns where the person continues: with their sign-in in the browser that asked, or with their account. */
function nextOf(confirmation: Confirmation): LinkDonePage['next'] {
  const uid = interactionHere(confirmation)
  return uid === undefined ? { href: '/account', kind: 'account' } : { href: `/interaction/${uid}`, kind: 'sign-in' }
}

import type { Context } from 'koa'
import { readerOf } from '../../oidc/request/reader.ts'
import type { LinkEndPage } from '../../views/pages/recovery.ts'
import type { LinkDependencies } from './dependencies.ts'
import { interactionHere, type LinkHandler, type LinkNotes, leadBack } from './link.ts'

// The address below the interaction that takes the form.
const pathOf = { 'sign-in': 'link', 'sign-up': 'sign-up/link' } as const

/**
 * Creates the page where a person continues a sign-in or a sign-up by the link beside its code. Its form goes to the
 * interaction, and only the browser that began that can send it: otherwise somebody could sign up with the address of
 * another person, who would then confirm an account whose password they do not know.
 */
export function signInContinue(
  {
    render,
    csrf,
    notes,
    showEnd,
  }: LinkDependencies & { notes: LinkNotes; showEnd(ctx: Context, reason: LinkEndPage['reason']): void },
  purpose: 'sign-in' | 'sign-up',
): LinkHandler {
  return {
    async show(ctx, { token, confirmation }) {
      const uid = interactionHere(confirmation)
      if (uid === undefined) return showEnd(ctx, 'other-browser')
      ctx.body = render(readerOf(ctx), 'link', {
        action: `/interaction/${uid}/${pathOf[purpose]}`,
        hidden: { uid, csrf: csrf.tokenFor(uid), token },
        purpose,
        email: confirmation.email,
        account: undefined,
      })
    },

    async submit(ctx, { token }) {
      leadBack(ctx, notes, token, { page: 'end', reason: 'other-browser' })
    },
  }
}

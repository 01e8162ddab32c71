import type { Context } from 'koa'
import { readerOf } from '../../oidc/request/reader.ts'
import type { LinkEndPage } from '../../views/pages/recovery.ts'
import type { LinkDependencies } from './dependencies.ts'
import { interactionHere, type LinkHandler, type LinkNotes, leadBack } from './link.ts'

/**
 * Creates the page where a person continues a sign-in by the link beside its code. Its form goes to the interaction, and
 * only the browser that began that can send it.
 */
export function signInContinue({
  render,
  csrf,
  notes,
  showEnd,
}: LinkDependencies & { notes: LinkNotes; showEnd(ctx: Context, reason: LinkEndPage['reason']): void }): LinkHandler {
  return {
    async show(ctx, { token, confirmation }) {
      const uid = interactionHere(confirmation)
      if (uid === undefined) return showEnd(ctx, 'other-browser')
      ctx.body = render(readerOf(ctx), 'link', {
        action: `/interaction/${uid}/link`,
        hidden: { uid, csrf: csrf.tokenFor(uid), token },
        purpose: 'sign-in',
        email: confirmation.email,
      })
    },

    async submit(ctx, { token }) {
      leadBack(ctx, notes, token, { page: 'end', reason: 'other-browser' })
    },
  }
}

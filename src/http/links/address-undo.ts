import * as addresses from '../../accounts/addresses.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import { byPerson } from '../by-person.ts'
import type { LinkDependencies } from './dependencies.ts'
import { type LinkHandler, type LinkNotes, leadBack, linkPath } from './link.ts'

/** Creates the page where the owner of the previous address undoes a change. */
export function addressUndo({ render, act, notes }: LinkDependencies & { notes: LinkNotes }): LinkHandler {
  return {
    async show(ctx, { token, confirmation: { email } }) {
      ctx.body = render(readerOf(ctx), 'link', {
        action: linkPath(token),
        hidden: {},
        purpose: 'email-undo',
        email,
        account: undefined,
      })
    },

    async submit(ctx, { token }) {
      const outcome = await addresses.outcomeOf(act(byPerson(ctx), (context) => addresses.undoChange(context, token)))
      if (outcome === 'gone') leadBack(ctx, notes, token, { page: 'end', reason: 'void' })
      else if (outcome === 'taken') leadBack(ctx, notes, token, { page: 'end', reason: 'taken' })
      else {
        const next = { href: '/account', kind: 'account' } as const
        leadBack(ctx, notes, token, { page: 'done', outcome: 'email-restored', email: outcome.email, next })
      }
    },
  }
}

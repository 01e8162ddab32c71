import * as addresses from '../../accounts/addresses.ts'
import { describe } from '../../accounts/described.ts'
import { accountSignInPath } from '../../oidc/clients/account-pages.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import { confirmPath, createConfirmNotes } from '../account/email-change.ts'
import { findSignedIn } from '../account/signed-in.ts'
import { byPerson } from '../by-person.ts'
import type { LinkDependencies } from './dependencies.ts'
import { type LinkHandler, type LinkNotes, leadBack, linkPath } from './link.ts'

/**
 * Creates the page where a person confirms that an address belongs to their account. Its button counts in a browser that is
 * signed in to that account. In any other it leads to the sign-in and back, so that nobody confirms their address for the
 * account of a stranger.
 */
export function addressConfirm({
  db,
  provider,
  render,
  act,
  notes,
  issuer,
}: LinkDependencies & { notes: LinkNotes }): LinkHandler {
  const confirmNotes = createConfirmNotes({ isSecure: issuer.startsWith('https:') })

  return {
    async show(ctx, { token, confirmation: { email, accountId } }) {
      const person = await findSignedIn(ctx, { provider, db })
      const account = await accounts.findById(db, String(accountId))
      ctx.body = render(readerOf(ctx), 'link', {
        action: linkPath(token),
        hidden: {},
        purpose: person?.account.id === accountId ? 'email-change' : 'email-change-sign-in',
        email,
        account: account && describe(account),
      })
    },

    async submit(ctx, { token, confirmation: { accountId } }) {
      const person = await findSignedIn(ctx, { provider, db })
      if (!person || person.account.id !== accountId) {
        // The token stays in this browser: as a part of the request it would be stored.
        confirmNotes.leave(ctx, confirmPath, { token })
        ctx.status = 303
        ctx.redirect(accountSignInPath(issuer, { returnTo: confirmPath, ...(person && { prompt: 'select_account' }) }))
        return
      }
      const outcome = await addresses.outcomeOf(
        act(byPerson(ctx), (context) => addresses.confirmChange(context, token, person.account.id)),
      )
      if (outcome === 'gone') leadBack(ctx, notes, token, { page: 'end', reason: 'void' })
      else if (outcome === 'taken') leadBack(ctx, notes, token, { page: 'end', reason: 'taken' })
      else {
        const next = { href: '/account', kind: 'account' } as const
        leadBack(ctx, notes, token, { page: 'done', outcome: 'email-confirmed', email: outcome.email, next })
      }
    },
  }
}

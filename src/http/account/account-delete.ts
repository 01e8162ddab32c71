import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Acting } from '../../accounts/acting.ts'
import * as deletion from '../../accounts/deletion.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { forgetSession, notifyApps } from '../engine/session-end.ts'
import type { Notes } from '../notes.ts'
import { type FrameOf, zoneOf } from './frame.ts'
import type { AccountHandler } from './handler.ts'

/** The content of the last page for a person who deleted their account. Nobody is signed in there. */
export type DeletedNote = { at: string; zone: string | undefined }

const donePath = '/account/deleted'

export type AccountDelete = {
  /** Shows what a person can do with their data: download it, or delete the account. */
  offer: AccountHandler<unknown>
  confirm: AccountHandler<unknown>
  submit: AccountHandler<unknown>
  /** Says when the account will be gone. */
  done(ctx: Context): void
}

/** Creates the pages that delete a person's account, and the handler of the form. */
export function accountDelete({
  act,
  provider,
  render,
  frameOf,
  deletedNotes,
  graceSeconds,
  issuer,
}: {
  act: Acting
  provider: Provider
  render: Render
  frameOf: FrameOf
  deletedNotes: Notes<DeletedNote>
  graceSeconds: number
  issuer: string
}): AccountDelete {
  const isSecure = issuer.startsWith('https:')
  const due = () => new Date(Date.now() + graceSeconds * 1000)

  return {
    async offer(ctx, person) {
      const graceDays = Math.max(1, Math.round(graceSeconds / 86_400))
      ctx.body = render(readerOf(ctx), 'account-data', {
        ...frameOf(ctx, person, '/account/data'),
        graceDays,
        terms: person.account.terms,
      })
    },

    async confirm(ctx, person) {
      ctx.body = render(readerOf(ctx), 'account-delete', { ...frameOf(ctx, person, '/account/data'), day: due() })
    },

    async submit(ctx, { account }) {
      const at = due()
      const apps = await act(byPerson(ctx), (context) => deletion.schedule(context, account, at))

      ctx.status = 303
      if (apps === 'not-possible') return ctx.redirect('/account')
      await notifyApps(ctx, { provider, accountId: account.id, apps })
      forgetSession(ctx, { provider, isSecure })
      deletedNotes.leave(ctx, donePath, { at: at.toISOString(), zone: zoneOf(account.profile) })
      ctx.redirect(donePath)
    },

    done(ctx) {
      const note = deletedNotes.take(ctx, donePath)
      if (note) {
        ctx.body = render(readerOf(ctx), 'account-deleted', { day: new Date(note.at), zone: note.zone })
        return
      }
      ctx.status = 303
      ctx.redirect('/')
    },
  }
}

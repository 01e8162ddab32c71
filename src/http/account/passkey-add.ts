import type { Context } from 'koa'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { add } from '../../accounts/passkeys.ts'
import { deviceOf } from '../../authentication/devices.ts'
import { creationOptions } from '../../authentication/passkeys/options.ts'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import { verifyRegistration } from '../../authentication/passkeys/verification.ts'
import { sha256 } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { AccountNotice } from '../../views/pages/account.ts'
import type { PasskeyAddError } from '../../views/pages/account-passkeys.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import type { Csrf } from '../csrf.ts'
import type { Notes } from '../notes.ts'
import { leadTo } from './frame.ts'
import { type AccountHandler, accountForm } from './handler.ts'

export const passkeyAddForm = accountForm.extend({
  name: z.string().max(200).default(''),
  response: z.string().max(50_000).default(''),
})

/** The reason why a passkey was not added, which the page shows next. */
export type PasskeyAddNote = { passkeyError: PasskeyAddError }

const path = '/account/passkeys/add'
const purpose = 'passkey-registration'

/** Returns the hash that names a session, for the challenges that are created in it. */
export const askerOfSession = (sessionUid: string): Buffer => sha256(`session\0${sessionUid}`)

export type PasskeyAdd = {
  show: AccountHandler<unknown>
  /** Answers the script of the page with what to ask the browser for. */
  options: AccountHandler<unknown>
  submit: AccountHandler<z.output<typeof passkeyAddForm>>
}

/** Creates the page where a person adds a passkey to their account. */
export function passkeyAdd({
  db,
  act,
  render,
  csrf,
  rp,
  notices,
  addNotes,
}: {
  db: Db
  act: Acting
  render: Render
  csrf: Csrf
  rp: RelyingParty
  notices: Notes<AccountNotice>
  addNotes: Notes<PasskeyAddNote>
}): PasskeyAdd {
  const leadBack = (ctx: Context, passkeyError: PasskeyAddError) => {
    addNotes.leave(ctx, path, { passkeyError })
    ctx.status = 303
    ctx.redirect(path)
  }

  return {
    async show(ctx, { account, sessionUid }) {
      const error = addNotes.take(ctx, path)?.passkeyError
      if (error) ctx.status = 400
      const { browser, system } = deviceOf(ctx.get('user-agent'))
      ctx.body = render(readerOf(ctx), 'account-passkey-add', {
        csrf: csrf.tokenOfSession(sessionUid),
        email: account.email,
        device: { browser, system },
        error,
      })
    },

    async options(ctx, { account, sessionUid }) {
      const name = String(account.profile['name'] ?? '')
      const holder = { account: { id: account.id, epoch: account.epoch }, email: account.email, name }
      ctx.body = await creationOptions(db, rp, { purpose, browserHash: askerOfSession(sessionUid) }, holder)
    },

    async submit(ctx, { account, sessionUid }, { response, name }) {
      const passkey = await verifyRegistration(rp, purpose, response)
      if (!passkey) return leadBack(ctx, 'failed')
      const belonging = { purpose, browserHash: askerOfSession(sessionUid), origin: rp.origin } as const

      const added = await act(byPerson(ctx), (context) => add(context, account.id, { passkey, belonging, name }))

      if (typeof added === 'string') return leadBack(ctx, added === 'gone' ? 'failed' : added)
      leadTo(ctx, notices, '/account/security', { code: 'passkey-added' })
    },
  }
}

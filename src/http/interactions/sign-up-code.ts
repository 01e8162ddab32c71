import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { complete } from '../../accounts/sign-up.ts'
import { codeHashWith } from '../../authentication/mailed-codes.ts'
import { proofBy } from '../../authentication/proofs.ts'
import { sha256 } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import type { Secret } from '../../secret.ts'
import * as confirmations from '../../stores/people/confirmations.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from './asker.ts'
import type { linkForm } from './code-sign-in.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { Kept } from './kept.ts'
import type { RefusedForms } from './refused-forms.ts'
import { needsPasskey } from './sign-up-passkey.ts'

export const signUpCodeForm = ownForm.extend({ code: z.string().max(40).default('') })

export type SignUpCode = {
  show(ctx: Context, interaction: Interaction): Promise<void>
  submit: Handler<z.output<typeof signUpCodeForm>>
  /** Creates the account by the link in the same mail, in the browser that asked for it. */
  submitLink: Handler<z.output<typeof linkForm>>
}

/** Creates the page where a person enters the code that proves their address, and the handler of its form. */
export function signUpCode({
  db,
  render,
  act,
  interactions,
  refusedForms,
  typedAddresses,
  confirmationKey,
  provenSignUps,
  storage,
}: {
  db: Db
  render: Render
  act: Acting
  interactions: Interactions
  refusedForms: RefusedForms
  typedAddresses: Kept<string>
  confirmationKey: Secret<Buffer>
  provenSignUps: Kept<string>
  storage: Storage
}): SignUpCode {
  return {
    async show(ctx, interaction) {
      const error = refusedForms.takeOf(ctx, interaction.uid, 'sign-up-code')?.error
      const email = typedAddresses.read(ctx, interaction.uid)
      if (!email) {
        ctx.status = 303
        ctx.redirect(`/interaction/${interaction.uid}`)
        return
      }
      if (error) ctx.status = 400
      const fields = interactions.hiddenFields(interaction)
      ctx.body = render(readerOf(ctx), 'sign-up-code', { ...fields, email, error })
    },

    async submit(ctx, interaction, { code }) {
      const tried = await confirmations.tryCode(db, {
        purpose: 'sign-up',
        browserHash: askerOf(interaction),
        codeHashOf: codeHashWith(confirmationKey, code.normalize('NFKC')),
      })
      // A wrong code and one that was never sent look the same: the address may have an account.
      if (typeof tried !== 'string' && (await goOn(ctx, interaction, tried.idHash))) return
      const isIn = typeof tried !== 'string' && (await finish(ctx, interaction, tried))
      if (!isIn) refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-up-code', error: 'wrong-code' })
    },

    async submitLink(ctx, interaction, { token }) {
      if (await goOn(ctx, interaction, sha256(token))) return
      if (await finish(ctx, interaction, { token })) return
      ctx.status = 303
      ctx.redirect(`/link/${encodeURIComponent(token)}`) // which says why not
    },
  }

  /** Leads a person who chose no password to the page for their passkey. Their address stays proven in this browser. */
  async function goOn(ctx: Context, interaction: Interaction, idHash: Buffer): Promise<boolean> {
    const found = await confirmations.findByHash(db, storage.envelope, idHash)
    if (found?.state !== 'valid' || !found.confirmation.browserHash?.equals(askerOf(interaction))) return false
    if (!needsPasskey(found.confirmation)) return false
    provenSignUps.keep(ctx, interaction.uid, idHash.toString('base64url'))
    ctx.status = 303
    ctx.redirect(`/interaction/${interaction.uid}/sign-up/passkey`)
    return true
  }

  async function finish(ctx: Context, interaction: Interaction, presented: confirmations.Presented): Promise<boolean> {
    const browserHash = askerOf(interaction)
    const account = await act(byPerson(ctx), (context) => complete(context, presented, browserHash))
    if (typeof account === 'string') return false
    await interactions.signIn(ctx, interaction, {
      accountId: account.id,
      epoch: account.epoch,
      proof: proofBy('password'),
    })
    return true
  }
}

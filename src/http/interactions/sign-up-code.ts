import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { complete } from '../../accounts/sign-up.ts'
import { codeHashWith } from '../../authentication/mailed-codes.ts'
import { proofBy } from '../../authentication/proofs.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Secret } from '../../secret.ts'
import * as confirmations from '../../stores/people/confirmations.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from './asker.ts'
import type { linkForm } from './code-sign-in.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { Kept } from './kept.ts'
import type { RefusedForms } from './refused-forms.ts'

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
}: {
  db: Db
  render: Render
  act: Acting
  interactions: Interactions
  refusedForms: RefusedForms
  typedAddresses: Kept<string>
  confirmationKey: Secret<Buffer>
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
      const isIn = typeof tried !== 'string' && (await finish(ctx, interaction, tried))
      if (!isIn) refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-up-code', error: 'wrong-code' })
    },

    async submitLink(ctx, interaction, { token }) {
      if (await finish(ctx, interaction, { token })) return
      ctx.status = 303
      ctx.redirect(`/link/${encodeURIComponent(token)}`) // which says why not
    },
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

import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { complete } from '../../accounts/sign-up.ts'
import { codeHashWith } from '../../authentication/mailed-codes.ts'
import type { Db } from '../../database/schema.ts'
import { passwordClass } from '../../oidc/acr.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Secret } from '../../secret.ts'
import * as confirmations from '../../stores/people/confirmations.ts'
import type { Render } from '../../views/render.ts'
import { type AskedCodes, browserHashOf } from './asked-codes.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { RefusedForms } from './refused-forms.ts'

export const signUpCodeForm = ownForm.extend({ code: z.string().max(40).default('') })

export type SignUpCode = {
  show(ctx: Context, interaction: Interaction): Promise<void>
  submit: Handler<z.output<typeof signUpCodeForm>>
}

/** Creates the page on which somebody enters the code that proves their address, and the handler of its form. */
export function signUpCode({
  db,
  render,
  act,
  issuer,
  interactions,
  refusedForms,
  askedCodes,
  confirmationKey,
}: {
  db: Db
  render: Render
  act: Acting
  issuer: string
  interactions: Interactions
  refusedForms: RefusedForms
  askedCodes: AskedCodes
  confirmationKey: Secret<Buffer>
}): SignUpCode {
  const acr = passwordClass(issuer)

  return {
    async show(ctx, interaction) {
      const error = refusedForms.takeOf(ctx, interaction.uid, 'sign-up-code')?.error
      const email = askedCodes.recall(ctx)
      if (email === undefined) {
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
        browserHash: browserHashOf(interaction.uid),
        codeHashOf: codeHashWith(confirmationKey, code),
      })
      // A wrong code and one that was never sent look the same: the address may have an account.
      const by = { requestId: ctx.state['requestId'], address: ctx.ip }
      const account = typeof tried === 'string' ? 'gone' : await act(by, (context) => complete(context, tried))
      if (typeof account === 'string') {
        refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-up-code', error: 'wrong-code' })
        return
      }
      await interactions.signIn(ctx, interaction, { accountId: account.id, epoch: account.epoch, acr, amr: ['pwd'] })
    },
  }
}

import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { emailAddress } from '../../accounts/email-addresses.ts'
import * as recovery from '../../accounts/recovery.ts'
import type { MailLimits } from '../../authentication/mail-limits.ts'
import { codeHashWith } from '../../authentication/mailed-codes.ts'
import { proofBy } from '../../authentication/proofs.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Secret } from '../../secret.ts'
import { canonicalEmail } from '../../stores/people/accounts.ts'
import * as confirmations from '../../stores/people/confirmations.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from './asker.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { Kept } from './kept.ts'
import type { addressForm } from './password-forget.ts'
import type { RefusedForms } from './refused-forms.ts'

export const codeForm = ownForm.extend({ code: z.string().max(64).default('') })
export const linkForm = ownForm.extend({ token: z.string().max(64).default('') })

export type CodeSignIn = {
  /** Sends a code, which is requested on the sign-in page and again on the page for the code. */
  send: Handler<z.output<typeof addressForm>>
  show(ctx: Context, interaction: Interaction): Promise<void>
  submit: Handler<z.output<typeof codeForm>>
  /** Signs in by the link in the same mail, in the browser that asked for it. */
  submitLink: Handler<z.output<typeof linkForm>>
}

/** Creates the sign-in with a code that is sent by mail. Its pages are the same whether or not an account has the address. */
export function codeSignIn({
  db,
  act,
  render,
  interactions,
  refusedForms,
  typedAddresses,
  mailLimits,
  confirmationKey,
}: {
  db: Db
  act: Acting
  render: Render
  interactions: Interactions
  refusedForms: RefusedForms
  typedAddresses: Kept<string>
  mailLimits: MailLimits
  /** Hashes the codes. */
  confirmationKey: Secret<Buffer>
}): CodeSignIn {
  const lead = (ctx: Context, { uid }: Interaction) => {
    ctx.status = 303
    ctx.redirect(`/interaction/${uid}/code`)
  }

  return {
    async send(ctx, interaction, { email }) {
      const address = email.trim()
      if (!emailAddress.safeParse(address).success) {
        refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-in', error: 'no-address', email })
        return
      }
      typedAddresses.keep(ctx, interaction.uid, address)
      if (await mailLimits({ kind: 'code', email: canonicalEmail(address), address: ctx.ip })) {
        const browserHash = askerOf(interaction).toString('base64url')
        const { language } = readerOf(ctx)
        await act(byPerson(ctx), async ({ mail }) =>
          mail({ kind: 'sign-in-code', to: address, language, browserHash, interaction: interaction.uid }),
        )
      }
      lead(ctx, interaction)
    },

    async show(ctx, interaction) {
      const email = typedAddresses.read(ctx, interaction.uid)
      if (!email) {
        ctx.status = 303
        ctx.redirect(`/interaction/${interaction.uid}`)
        return
      }
      const refused = refusedForms.take(ctx, interaction.uid)
      const error = refused?.page === 'code' ? refused.error : undefined
      if (error) ctx.status = 401
      ctx.body = render(readerOf(ctx), 'code', { ...interactions.hiddenFields(interaction), email, error })
    },

    async submit(ctx, interaction, { code }) {
      const browserHash = askerOf(interaction)
      const codeHashOf = codeHashWith(confirmationKey, code.normalize('NFKC')) // some keyboards type wide digits
      // One refusal for a wrong code, one that has ended and one that was never sent: an address without an account must
      // look like any other.
      const tried = await confirmations.tryCode(db, { purpose: 'sign-in', browserHash, codeHashOf })
      const isIn = typeof tried !== 'string' && (await finish(ctx, interaction, { presented: tried, browserHash }))
      if (!isIn) refusedForms.leadBack(ctx, interaction.uid, { page: 'code', error: 'wrong-code' })
    },

    async submitLink(ctx, interaction, { token }) {
      const isIn = await finish(ctx, interaction, { presented: { token }, browserHash: askerOf(interaction) })
      if (isIn) return
      ctx.status = 303
      ctx.redirect(`/link/${encodeURIComponent(token)}`) // which says why not
    },
  }

  async function finish(
    ctx: Context,
    interaction: Interaction,
    { presented, browserHash }: { presented: confirmations.Presented; browserHash: Buffer },
  ): Promise<boolean> {
    const by = { browserHash, keptSessionUid: interaction.session?.uid }
    const account = await act(byPerson(ctx), (context) => recovery.signInByMail(context, presented, by))
    if (account === 'gone') return false
    const { id: accountId, epoch } = account
    await interactions.signIn(ctx, interaction, { accountId, epoch, proof: proofBy('mail') })
    return true
  }
}

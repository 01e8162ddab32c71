import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import type { DirectoryAccounts } from '../../accounts/directory-sign-in.ts'
import { emailAddress } from '../../accounts/email-addresses.ts'
import type { MailLimits } from '../../authentication/mail-limits.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import { canonicalEmail } from '../../stores/people/accounts.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from './asker.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { Kept } from './kept.ts'
import { longestEmail, type RefusedForms } from './refused-forms.ts'

export const addressForm = ownForm.extend({ email: z.string().default('') })

export type PasswordForget = {
  /** Opens the page from the sign-in page, with the address that was typed there. */
  open: Handler<z.output<typeof addressForm>>
  show(ctx: Context, interaction: Interaction): Promise<void>
  submit: Handler<z.output<typeof addressForm>>
  /** Shows what happens next, which is the same whether or not an account has the address. */
  showSent(ctx: Context, interaction: Interaction): Promise<void>
}

/** Creates the pages for a person who forgot their password, or never had one. */
export function passwordForget({
  act,
  render,
  interactions,
  refusedForms,
  typedAddresses,
  mailLimits,
  directory,
}: {
  act: Acting
  render: Render
  interactions: Interactions
  refusedForms: RefusedForms
  typedAddresses: Kept<string>
  mailLimits: MailLimits
  directory: DirectoryAccounts | undefined
}): PasswordForget {
  const lead = (ctx: Context, { uid }: Interaction, page: 'forgot' | 'forgot-sent') => {
    ctx.status = 303
    ctx.redirect(`/interaction/${uid}/${page}`)
  }

  return {
    async open(ctx, interaction, { email }) {
      typedAddresses.keep(ctx, interaction.uid, email.slice(0, longestEmail))
      lead(ctx, interaction, 'forgot')
    },

    async show(ctx, interaction) {
      const refused = refusedForms.take(ctx, interaction.uid)
      const error = refused?.page === 'forgot' ? refused.error : undefined
      if (error) ctx.status = 400
      const email = typedAddresses.read(ctx, interaction.uid) ?? ''
      if (error === 'directory') {
        const { passwordUrl } = directory ?? {}
        ctx.body = render(readerOf(ctx), 'directory-password', {
          email,
          passwordUrl,
          back: `/interaction/${interaction.uid}`,
        })
        return
      }
      ctx.body = render(readerOf(ctx), 'forgot', {
        ...interactions.hiddenFields(interaction),
        email,
        error,
      })
    },

    async submit(ctx, interaction, { email }) {
      typedAddresses.keep(ctx, interaction.uid, email.slice(0, longestEmail))
      if (!emailAddress.safeParse(email.trim()).success) {
        refusedForms.leadBack(ctx, interaction.uid, { page: 'forgot', error: 'no-address' })
        return
      }
      if (directory?.isAuthority(email)) {
        refusedForms.leadBack(ctx, interaction.uid, { page: 'forgot', error: 'directory' })
        return
      }
      await sendLetter(ctx, interaction, email.trim())
      lead(ctx, interaction, 'forgot-sent')
    },

    async showSent(ctx, interaction) {
      const email = typedAddresses.read(ctx, interaction.uid)
      if (!email) return lead(ctx, interaction, 'forgot')
      ctx.body = render(readerOf(ctx), 'forgot-sent', { ...interactions.hiddenFields(interaction), email })
    },
  }

  /** Sends the letter, unless too many were requested. The delivery finds out whether an account has the address. */
  async function sendLetter(ctx: Context, { uid }: Interaction, email: string): Promise<void> {
    const isAllowed = await mailLimits({ kind: 'link', email: canonicalEmail(email), address: ctx.ip })
    if (!isAllowed) return
    await act(byPerson(ctx), async ({ mail }) =>
      mail({
        kind: 'password-reset',
        to: email,
        language: readerOf(ctx).language,
        browserHash: askerOf({ uid }).toString('base64url'),
        interaction: uid,
      }),
    )
  }
}

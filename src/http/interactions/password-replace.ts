import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import type { AcceptAnother } from '../../accounts/new-passwords.ts'
import * as passwords from '../../accounts/password.ts'
import type { Db } from '../../database/schema.ts'
import { replacePassword } from '../../oidc/prompts.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { RefusedForm, RefusedForms } from './refused-forms.ts'

export const replaceForm = ownForm.extend({ password: z.string().max(1_024).default('') })

export type PasswordReplace = {
  show(ctx: Context, interaction: Interaction, refused: RefusedForm | undefined): Promise<void>
  submit: Handler<z.output<typeof replaceForm>>
}

/**
 * Creates the page where a person replaces their password, as an administrator requires, and the handler of its form. They
 * have just signed in, by the old password or by mail, so the old one is not asked for again.
 */
export function passwordReplace({
  db,
  act,
  render,
  interactions,
  refusedForms,
  acceptAnother,
  passwordMinLength,
}: {
  db: Db
  act: Acting
  render: Render
  interactions: Interactions
  refusedForms: RefusedForms
  acceptAnother: AcceptAnother
  passwordMinLength: number
}): PasswordReplace {
  return {
    async show(ctx, interaction, refused) {
      const account = await personOf(interaction)
      if (!account) return interactions.finish(ctx, interaction, { [replacePassword]: {} })
      const error = refused?.page === 'password' ? refused.error : undefined
      if (error) ctx.status = error === 'busy' ? 503 : 400
      ctx.body = render(readerOf(ctx), 'new-password', {
        action: `/interaction/${interaction.uid}/password`,
        hidden: interactions.hiddenFields(interaction),
        occasion: 'required',
        email: account.email,
        minLength: passwordMinLength,
        asksForOld: false,
        offersSignOut: false,
        error,
        retryAfterSeconds: undefined,
      })
    },

    async submit(ctx, interaction, { password }) {
      const account = await personOf(interaction)
      if (!account) return interactions.finish(ctx, interaction, { [replacePassword]: {} })
      const accepted = await acceptAnother(password, account)
      if ('flaw' in accepted) {
        return refusedForms.leadBack(ctx, interaction.uid, { page: 'password', error: accepted.flaw })
      }
      const choice = {
        hash: accepted.hash,
        origin: 'required',
        // The administrator has a reason. Somebody else who knew the password may have signed in with it by now.
        signsOut: true,
        keptSessionUid: interaction.session?.uid,
        epoch: account.epoch,
      } as const

      await act(byPerson(ctx), (context) => passwords.choose(context, account.id, choice))

      // Where somebody else was first, the engine finds that out: their change ended this sign-in.
      await interactions.finish(ctx, interaction, { [replacePassword]: {} })
    },
  }

  /** Returns the account of the signed-in person, if its password still has to be replaced. */
  async function personOf({ prompt, session }: Interaction): Promise<accounts.Account | undefined> {
    const isAsked = prompt.name === replacePassword && session !== undefined
    const account = isAsked ? await accounts.findById(db, session.accountId) : undefined
    return account?.mustChangePassword && !account.isDisabled ? account : undefined
  }
}

import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import type { AcceptAnother } from '../../accounts/new-passwords.ts'
import * as passwords from '../../accounts/password.ts'
import type { Db } from '../../database/schema.ts'
import { passwordClass } from '../../oidc/acr.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { Kept } from './kept.ts'
import type { RefusedForms } from './refused-forms.ts'

export const replaceForm = ownForm.extend({
  password: z.string().max(1_024).default(''),
  sign_out: z.string().optional(),
})

/** A person who knew the password that they have to replace. They are not signed in yet. */
export type Waiting = { accountId: string; epoch: number }

/** How long that knowledge counts. */
export const waitingSeconds = 900

export type PasswordReplace = {
  /** Leads a person whose password was right to the page where they replace it. */
  require(ctx: Context, interaction: Interaction, person: Waiting): void
  show: Handler<unknown>
  submit: Handler<z.output<typeof replaceForm>>
}

/** Creates the page where a person replaces a password, as an administrator requires. The sign-in continues only then. */
export function passwordReplace({
  db,
  act,
  render,
  interactions,
  refusedForms,
  waiting,
  acceptAnother,
  passwordMinLength,
  issuer,
}: {
  db: Db
  act: Acting
  render: Render
  interactions: Interactions
  refusedForms: RefusedForms
  waiting: Kept<Waiting>
  acceptAnother: AcceptAnother
  passwordMinLength: number
  issuer: string
}): PasswordReplace {
  const acr = passwordClass(issuer)
  const lead = (ctx: Context, { uid }: Interaction, page: '' | '/password') => {
    ctx.status = 303
    ctx.redirect(`/interaction/${uid}${page}`)
  }

  return {
    require(ctx, interaction, { accountId, epoch }) {
      waiting.keep(ctx, interaction.uid, { accountId, epoch })
      lead(ctx, interaction, '/password')
    },

    async show(ctx, interaction) {
      const account = await personOf(ctx, interaction)
      if (!account) return lead(ctx, interaction, '')
      const refused = refusedForms.take(ctx, interaction.uid)
      const error = refused?.page === 'password' ? refused.error : undefined
      if (error) ctx.status = error === 'busy' ? 503 : 400
      ctx.body = render(readerOf(ctx), 'new-password', {
        action: `/interaction/${interaction.uid}/password`,
        hidden: interactions.hiddenFields(interaction),
        occasion: 'required',
        email: account.email,
        minLength: passwordMinLength,
        asksForOld: false,
        offersSignOut: true,
        error,
        retryAfterSeconds: undefined,
      })
    },

    async submit(ctx, interaction, { password, sign_out }) {
      const account = await personOf(ctx, interaction)
      if (!account) return lead(ctx, interaction, '')
      const accepted = await acceptAnother(password, account)
      if ('flaw' in accepted) {
        return refusedForms.leadBack(ctx, interaction.uid, { page: 'password', error: accepted.flaw })
      }
      const choice = {
        hash: accepted.hash,
        origin: 'required',
        signsOut: sign_out !== undefined,
        keptSessionUid: interaction.session?.uid,
        epoch: account.epoch,
      } as const

      const changed = await act(byPerson(ctx), (context) => passwords.choose(context, account.id, choice))

      if (!changed) return lead(ctx, interaction, '')
      const { id: accountId, epoch } = changed
      await interactions.signIn(ctx, interaction, { accountId, epoch, acr, amr: ['pwd'] })
    },
  }

  /** Returns the account of the person, if nothing has ended its sign-ins since they proved the old password. */
  async function personOf(ctx: Context, { uid }: Interaction): Promise<accounts.Account | undefined> {
    const person = waiting.read(ctx, uid)
    const account = person && (await accounts.findById(db, person.accountId))
    return account && !account.isDisabled && account.epoch === person.epoch ? account : undefined
  }
}

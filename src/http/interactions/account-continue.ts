import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Render } from '../../views/render.ts'
import type { AccountSignIn } from './account-sign-in.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import { shownClientOf } from './shown-client.ts'

export const continueForm = ownForm.extend({ decision: z.enum(['continue', 'switch']) })

export type AccountContinue = {
  show(ctx: Context, interaction: Interaction, accountId: string): Promise<void>
  submit: Handler<z.output<typeof continueForm>>
}

/** Creates the page that offers to continue with the signed-in account, and the handler of its form. */
export function accountContinue({
  db,
  provider,
  render,
  interactions,
  signIn,
}: {
  db: Db
  provider: Provider
  render: Render
  interactions: Interactions
  signIn: AccountSignIn
}): AccountContinue {
  return {
    async show(ctx, interaction, accountId) {
      const account = await accounts.findById(db, accountId)

      ctx.body = render(readerOf(ctx), 'continue-as', {
        ...interactions.hiddenFields(interaction),
        client: await shownClientOf(provider, interaction, readerOf(ctx)),
        account: { name: String(account?.profile['name'] ?? ''), email: account?.email ?? '' },
      })
    },

    async submit(ctx, interaction, { decision }) {
      if (interaction.prompt.name !== 'select_account') ctx.throw(400, 'There is no account to choose.')

      if (decision === 'switch' || !interaction.session) await signIn.show(ctx, interaction, { email: '' })
      else await interactions.finish(ctx, interaction, { select_account: {} })
    },
  }
}

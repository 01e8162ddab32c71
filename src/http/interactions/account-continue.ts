import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Render } from '../../views/render.ts'
import type { AccountSignIn } from './account-sign-in.ts'
import type { BrowserAccounts } from './browser-accounts.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import { shownClientOf } from './shown-client.ts'

export const continueForm = ownForm.extend({
  decision: z.enum(['continue', 'switch']).optional(),
  account: z.string().max(200).optional(),
})

export type AccountContinue = {
  show(ctx: Context, interaction: Interaction): Promise<void>
  /** Returns whether the sign-in page gives way to this one: the person can choose, and nothing asks for more. */
  isChoice(ctx: Context, interaction: Interaction): Promise<boolean>
  submit: Handler<z.output<typeof continueForm>>
}

/** Creates the page that offers the accounts of this browser, and the handler of its form. */
export function accountContinue({
  db,
  provider,
  render,
  interactions,
  signIn,
  browserAccounts,
}: {
  db: Db
  provider: Provider
  render: Render
  interactions: Interactions
  signIn: AccountSignIn
  browserAccounts: BrowserAccounts
}): AccountContinue {
  return {
    async show(ctx, interaction) {
      const { session } = interaction
      const account = session && (await accounts.findById(db, session.accountId))

      ctx.body = render(readerOf(ctx), 'continue-as', {
        ...interactions.hiddenFields(interaction),
        client: await shownClientOf(provider, interaction, readerOf(ctx)),
        account: account && { name: String(account.profile['name'] ?? ''), email: account.email },
        others: await browserAccounts.others(ctx),
      })
    },

    isChoice,

    async submit(ctx, interaction, { decision, account: chosen }) {
      const { prompt, session } = interaction
      const isPossible = prompt.name === 'select_account' || (await isChoice(ctx, interaction))
      if (!isPossible) ctx.throw(400, 'There is no account to choose.')

      if (chosen !== undefined) {
        const other = (await browserAccounts.others(ctx)).find(({ id }) => id === chosen)
        if (!other?.isSignedIn) return signIn.show(ctx, interaction, { email: other?.email ?? '' })
        await browserAccounts.turnTo(ctx, interaction, other.id)
        await interactions.finish(ctx, interaction, { select_account: {} })
      } else if (decision !== 'continue' || !session) {
        await signIn.show(ctx, interaction, { email: '' })
      } else {
        await interactions.finish(ctx, interaction, { select_account: {} })
      }
    },
  }

  async function isChoice(ctx: Context, { prompt, session }: Interaction): Promise<boolean> {
    if (session || !['login', 'select_account'].includes(prompt.name)) return false
    if (prompt.name === 'login' && prompt.reasons.some((reason) => reason !== 'no_session')) return false
    return (await browserAccounts.others(ctx)).length > 0
  }
}

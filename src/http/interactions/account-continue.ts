import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Db } from '../../database/schema.ts'
import type { PairwiseSubject } from '../../oidc/pairwise.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { OtherAccount } from '../../views/pages/continue-as.ts'
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
  /** Continues with the waiting account that the app names by `login_hint`. Returns whether there is one. */
  followHint(ctx: Context, interaction: Interaction): Promise<boolean>
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
  subjectOf,
}: {
  db: Db
  provider: Provider
  render: Render
  interactions: Interactions
  signIn: AccountSignIn
  browserAccounts: BrowserAccounts
  subjectOf: PairwiseSubject
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

    async followHint(ctx, interaction) {
      const { params, prompt } = interaction
      const hint = params['login_hint']
      // An app that wants the person to choose gets their choice.
      if (typeof hint !== 'string' || prompt.name !== 'login' || !(await isChoice(ctx, interaction))) return false
      const named = await namedBy(hint, String(params['client_id']), await browserAccounts.others(ctx))
      if (!named) return false
      if (!named.isSignedIn) {
        await signIn.show(ctx, interaction, { email: named.email })
        return true
      }
      await browserAccounts.turnTo(ctx, interaction, named.id)
      await interactions.finish(ctx, interaction, { select_account: {} })
      return true
    },

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

  /** Returns the account that a hint names: by its address in any spelling, or by the `sub` that the app knows. */
  async function namedBy(
    hint: string,
    clientId: string,
    others: readonly OtherAccount[],
  ): Promise<OtherAccount | undefined> {
    const client = await provider.Client.find(clientId)
    for (const other of others) {
      if (accounts.canonicalEmail(other.email) === accounts.canonicalEmail(hint)) return other
      const sub = client?.subjectType === 'pairwise' ? await subjectOf(other.id, client) : other.id
      if (sub === hint) return other
    }
    return undefined
  }

  async function isChoice(ctx: Context, { prompt, session }: Interaction): Promise<boolean> {
    if (session || !['login', 'select_account'].includes(prompt.name)) return false
    if (prompt.name === 'login' && prompt.reasons.some((reason) => reason !== 'no_session')) return false
    return (await browserAccounts.others(ctx)).length > 0
  }
}

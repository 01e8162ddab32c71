import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction } from 'oidc-provider'
import type { Acting } from '../../accounts/acting.ts'
import * as deletion from '../../accounts/deletion.ts'
import type { Db } from '../../database/schema.ts'
import { keepAccount } from '../../oidc/prompts.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Render } from '../../views/render.ts'
import { zoneOf } from '../account/frame.ts'
import { byPerson } from '../by-person.ts'
import type { Handler, Interactions } from './interactions.ts'
import { shownClientOf } from './shown-client.ts'

export type AccountKeep = {
  show(ctx: Context, interaction: Interaction, accountId: string): Promise<void>
  submit: Handler<unknown>
}

/** Creates the page that asks whether a person keeps the account that they wanted to delete, and the handler of its form. */
export function accountKeep({
  db,
  act,
  provider,
  render,
  interactions,
}: {
  db: Db
  act: Acting
  provider: Provider
  render: Render
  interactions: Interactions
}): AccountKeep {
  return {
    async show(ctx, interaction, accountId) {
      const account = await accounts.findById(db, accountId)
      if (!account?.deletionAt) return interactions.finish(ctx, interaction, { [keepAccount]: {} })

      ctx.body = render(readerOf(ctx), 'keep-account', {
        ...interactions.hiddenFields(interaction),
        client: await shownClientOf(provider, interaction, readerOf(ctx)),
        account: { name: String(account.profile['name'] ?? ''), email: account.email },
        day: account.deletionAt,
        zone: zoneOf(account.profile),
      })
    },

    async submit(ctx, interaction) {
      const { prompt, session } = interaction
      if (prompt.name !== keepAccount || !session) return ctx.throw(400, 'There is no account to keep.')

      await act(byPerson(ctx), (context) => deletion.cancel(context, session.accountId))

      await interactions.finish(ctx, interaction, { [keepAccount]: {} })
    },
  }
}

import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { acceptTerms as accept } from '../../accounts/terms.ts'
import type { Db } from '../../database/schema.ts'
import { acceptTerms } from '../../oidc/prompts.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { RefusedForms } from './refused-forms.ts'
import { shownClientOf } from './shown-client.ts'
import type { SignUp } from './sign-up-begin.ts'

export const termsForm = ownForm.extend({
  decision: z.enum(['accept', 'decline']).default('decline'),
  version: z.string().max(100).default(''),
})

export type TermsAccept = {
  show(ctx: Context, interaction: Interaction, after: { isDeclined: boolean }): Promise<void>
  submit: Handler<z.output<typeof termsForm>>
}

/** Creates the page that asks a person to accept the terms of a new version, and the handler of its form. */
export function termsAccept({
  db,
  act,
  provider,
  render,
  interactions,
  refusedForms,
  signUp: { termsVersion, brand },
}: {
  db: Db
  act: Acting
  provider: Provider
  render: Render
  interactions: Interactions
  refusedForms: RefusedForms
  signUp: Pick<SignUp, 'termsVersion' | 'brand'>
}): TermsAccept {
  return {
    async show(ctx, interaction, { isDeclined }) {
      const { session } = interaction
      const account = session && (await accounts.findById(db, session.accountId))
      if (!account || termsVersion === undefined || account.terms?.version === termsVersion) {
        return interactions.finish(ctx, interaction, { [acceptTerms]: {} })
      }
      const client = await shownClientOf(provider, interaction, readerOf(ctx))
      if (isDeclined) {
        ctx.body = render(readerOf(ctx), 'terms-declined', { client })
        return
      }
      ctx.body = render(readerOf(ctx), 'terms', {
        ...interactions.hiddenFields(interaction),
        client,
        account: { name: String(account.profile['name'] ?? ''), email: account.email },
        version: termsVersion,
        termsUrl: brand().links.find(({ name }) => name === 'terms')?.href,
        isFirst: account.terms === undefined,
      })
    },

    async submit(ctx, interaction, { decision, version }) {
      const { prompt, session } = interaction
      if (prompt.name !== acceptTerms || !session) return ctx.throw(400, 'There are no terms to accept.')
      if (decision === 'decline') return refusedForms.leadBack(ctx, interaction.uid, { page: 'terms' })
      // The person accepts what they read: the page of another version asks again.
      if (version === termsVersion) {
        await act(byPerson(ctx), (context) => accept(context, session.accountId, version))
      }
      await interactions.finish(ctx, interaction, { [acceptTerms]: {} })
    },
  }
}

import { acceptTerms, keepAccount, replacePassword } from '../../oidc/prompts.ts'
import type { AccountContinue } from './account-continue.ts'
import type { AccountKeep } from './account-keep.ts'
import { type AccountSignIn, isUnattainable } from './account-sign-in.ts'
import type { ConsentDecide } from './consent-decide.ts'
import type { Handler, Interactions } from './interactions.ts'
import type { PasswordReplace } from './password-replace.ts'
import type { RefusedForms } from './refused-forms.ts'
import type { SignUpBegin } from './sign-up-begin.ts'
import type { TermsAccept } from './terms-accept.ts'
import type { UpstreamSignIn } from './upstream-sign-in.ts'

/** Shows the page of the step that an interaction has come to, or the page whose form was just rejected. */
export function interactionShow({
  interactions,
  refusedForms,
  signIn,
  account,
  keep,
  replace,
  terms,
  consent,
  signUp,
  upstream,
}: {
  interactions: Interactions
  refusedForms: RefusedForms
  signIn: AccountSignIn
  account: AccountContinue
  keep: AccountKeep
  replace: PasswordReplace
  terms: TermsAccept
  consent: ConsentDecide
  signUp: SignUpBegin
  upstream: UpstreamSignIn
}): Handler<unknown> {
  return async (ctx, interaction) => {
    const { prompt, session, uid } = interaction
    const refused = refusedForms.take(ctx, uid)

    if (refused?.page === 'sign-in') {
      await signIn.show(ctx, interaction, refused)
    } else if (await interactions.goOn(ctx, interaction)) {
      return
    } else if (prompt.name === 'consent' && session) {
      await consent.show(ctx, interaction, refused?.page === 'consent' ? refused.error : undefined)
    } else if (prompt.name === 'create') {
      await signUp.show(ctx, interaction)
    } else if (prompt.name === keepAccount && session) {
      await keep.show(ctx, interaction, session.accountId)
    } else if (prompt.name === replacePassword) {
      await replace.show(ctx, interaction, refused)
    } else if (prompt.name === acceptTerms) {
      await terms.show(ctx, interaction, { isDeclined: refused?.page === 'terms' })
    } else if (prompt.name === 'select_account' && session) {
      await account.show(ctx, interaction)
    } else if (isUnattainable(interaction)) {
      await interactions.finish(ctx, interaction, {
        error: 'unmet_authentication_requirements',
        error_description: 'the requested authentication could not be obtained',
      })
    } else if (await account.followHint(ctx, interaction)) {
      // It has answered.
    } else if (await upstream.followHint(ctx, interaction)) {
      // The browser is on its way to another provider.
    } else if (await account.isChoice(ctx, interaction)) {
      await account.show(ctx, interaction)
    } else {
      await signIn.show(ctx, interaction)
    }
  }
}

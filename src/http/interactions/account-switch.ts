import type { AccountSignIn } from './account-sign-in.ts'
import type { Handler } from './interactions.ts'
import type { Steps } from './steps.ts'

/** Shows an empty sign-in page to a person who wants to use another account. */
export function accountSwitch({ signIn, steps }: { signIn: AccountSignIn; steps: Steps }): Handler<unknown> {
  return async (ctx, interaction) => {
    steps.forget(ctx, interaction)
    await signIn.show(ctx, interaction, { email: '' })
  }
}

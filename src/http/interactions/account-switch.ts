import type { AccountSignIn } from './account-sign-in.ts'
import type { Handler } from './interactions.ts'

/** Shows an empty sign-in page to a person who wants to use another account. */
export function accountSwitch({ signIn }: { signIn: AccountSignIn }): Handler<unknown> {
  return (ctx, interaction) => signIn.show(ctx, interaction, { email: '' })
}

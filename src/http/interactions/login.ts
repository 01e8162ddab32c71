import type { InteractionResults } from 'oidc-provider'

/** The engine's record of a sign-in, with the epoch of the account when its owner proved who they are. */
type Login = NonNullable<InteractionResults['login']> & { epoch: number }

/** Returns the result of an interaction in which a person signed in. */
export function signedIn(
  { accountId, epoch }: { accountId: string; epoch: number },
  { acr, amr }: { acr: string; amr: string[] },
): InteractionResults {
  const login: Login = { accountId, epoch, ts: Math.floor(Date.now() / 1000), acr, amr, remember: true }
  return { login, select_account: {} }
}

import type { Proof } from '../../authentication/proofs.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Storage } from './storage.ts'
import type { Work } from './work.ts'

type Payload = Record<string, unknown>

/**
 * Returns an interaction with its result, if the sign-in in that is still valid. Between the form and the redirect
 * after it, somebody may have changed the password or disabled the account: then the interaction continues as if nobody
 * had signed in.
 */
export async function withStandingSignIn({ db }: Storage, work: Work, interaction: Payload): Promise<Payload> {
  const { login } = (interaction['result'] ?? {}) as {
    login?: { accountId: string; epoch?: number; proofs?: Proof[] }
  }
  if (!login) return interaction
  const account = work.reads.accounts.get(login.accountId) ?? (await accounts.findById(db, login.accountId))
  if (account && !account.isDisabled && account.epoch === login.epoch) {
    work.reads.accounts.set(account.id, account) // the engine reads it next
    work.reads.signIn = { accountId: account.id, epoch: account.epoch, proofs: login.proofs ?? [] }
    return interaction
  }
  work.reads.hasSignInEnded = true
  // Its session is left out too: it ended with the sign-in, and the engine would look for it.
  const { result: _result, session: _session, ...rest } = interaction
  return rest
}

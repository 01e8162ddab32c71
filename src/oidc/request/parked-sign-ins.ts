import * as accounts from '../../stores/people/accounts.ts'
import type { Storage } from './storage.ts'
import type { Work } from './work.ts'

type Payload = Record<string, unknown>

/**
 * An interaction with what came of it, if the sign-in in there still stands. Between the form and the redirect after it
 * somebody may have set another password or disabled the account: then it goes on as if nobody had signed in.
 */
export async function withStandingSignIn({ db }: Storage, work: Work, interaction: Payload): Promise<Payload> {
  const { login } = (interaction['result'] ?? {}) as { login?: { accountId: string; epoch?: number } }
  if (!login) return interaction
  const account = work.reads.accounts.get(login.accountId) ?? (await accounts.findById(db, login.accountId))
  if (account && !account.isDisabled && account.epoch === login.epoch) {
    work.reads.accounts.set(account.id, account) // the engine asks for it next
    work.reads.signIn = { accountId: account.id, epoch: account.epoch }
    return interaction
  }
  work.reads.hasSignInEnded = true
  // Without the session it began in, too: that has ended with the sign-in, and the engine would miss it.
  const { result: _result, session: _session, ...rest } = interaction
  return rest
}

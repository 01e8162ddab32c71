import type { RelyingParty } from '../authentication/passkeys/relying-party.ts'
import {
  type Asked,
  type PasskeyHolder,
  type Refused,
  verifyAssertion,
} from '../authentication/passkeys/verification.ts'
import type { AccountTx } from './acting.ts'

/**
 * Checks the answer of an authenticator, and records how that ended. The challenge, the counter and the event are stored
 * together, also when the answer is rejected.
 *
 * @param options.accountId - The account whose passkey it must be, if the person is known already.
 */
export async function use(
  { tx, record }: AccountTx,
  {
    rp,
    asked,
    response,
    accountId,
  }: { rp: RelyingParty; asked: Asked; response: string; accountId?: string | undefined },
): Promise<PasskeyHolder | Refused> {
  const outcome = await verifyAssertion(tx, rp, asked, response, { accountId })
  const isSignIn = asked.purpose === 'passkey-sign-in'
  const details = { method: 'passkey' }
  if (!('refusal' in outcome)) {
    if (isSignIn) record({ type: 'sign_in.succeeded', accountId: outcome.accountId, details })
  } else if (outcome.refusal === 'copied') {
    record({ type: 'account.passkey_copied', accountId: outcome.accountId })
  } else if (isSignIn) {
    record({ type: 'sign_in.failed', accountId: outcome.accountId, details, isByStranger: true })
  }
  return outcome
}

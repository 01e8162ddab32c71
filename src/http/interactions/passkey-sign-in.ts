import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { use } from '../../accounts/passkey-use.ts'
import { requestOptions } from '../../authentication/passkeys/options.ts'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import { proofBy } from '../../authentication/proofs.ts'
import type { Db } from '../../database/schema.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from './asker.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { RefusedForms } from './refused-forms.ts'

export const passkeyForm = ownForm.extend({ response: z.string().max(50_000).default('') })

export type PasskeySignIn = {
  /** Answers the script of the sign-in page with what to ask the browser for. */
  options: Handler<z.output<typeof ownForm>>
  submit: Handler<z.output<typeof passkeyForm>>
}

/**
 * Creates the sign-in with a passkey. Nobody types an address for it: the browser knows the passkeys of this server, so the
 * answers are the same for everybody.
 */
export function passkeySignIn({
  db,
  act,
  interactions,
  refusedForms,
  rp,
}: {
  db: Db
  act: Acting
  interactions: Interactions
  refusedForms: RefusedForms
  rp: RelyingParty
}): PasskeySignIn {
  const purpose = 'passkey-sign-in'

  return {
    async options(ctx, interaction) {
      ctx.body = await requestOptions(db, rp, { purpose, browserHash: askerOf(interaction) })
    },

    async submit(ctx, interaction, { response }) {
      const asked = { purpose, browserHash: askerOf(interaction) } as const
      const outcome = await act(byPerson(ctx), (context) => use(context, { rp, asked, response }))

      if ('refusal' in outcome) {
        const { refusal, credentialId } = outcome
        const error = refusal === 'unknown' ? 'passkey-unknown' : 'passkey'
        refusedForms.leadBack(ctx, interaction.uid, {
          page: 'sign-in',
          error,
          email: '',
          credentialId: refusal === 'unknown' ? credentialId : undefined,
        })
        return
      }
      const { accountId, epoch, isUserVerified } = outcome
      await interactions.signIn(ctx, interaction, {
        accountId,
        epoch,
        proof: { ...proofBy('passkey'), isUserVerified },
      })
    },
  }
}

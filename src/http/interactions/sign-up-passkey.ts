import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import type { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { complete } from '../../accounts/sign-up.ts'
import { deviceOf } from '../../authentication/devices.ts'
import { creationOptions } from '../../authentication/passkeys/options.ts'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import { verifyRegistration } from '../../authentication/passkeys/verification.ts'
import { proofBy } from '../../authentication/proofs.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import * as confirmations from '../../stores/people/confirmations.ts'
import type { SignInOffers } from '../../views/pages/sign-in.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from './asker.ts'
import type { Handler, Interactions, ownForm } from './interactions.ts'
import type { Kept } from './kept.ts'
import type { passkeyForm } from './passkey-sign-in.ts'
import type { RefusedForms } from './refused-forms.ts'

const purpose = 'passkey-registration'

export type SignUpPasskey = {
  show(ctx: Context, interaction: Interaction): Promise<void>
  options: Handler<z.output<typeof ownForm>>
  submit: Handler<z.output<typeof passkeyForm>>
}

/**
 * Creates the page where a person who has proven their address creates the passkey of their new account. The account
 * begins with it, so that nobody ends with an account that they cannot sign in to.
 */
export function signUpPasskey({
  db,
  storage,
  render,
  act,
  interactions,
  refusedForms,
  provenSignUps,
  rp,
  offers,
}: {
  db: Db
  storage: Storage
  render: Render
  act: Acting
  interactions: Interactions
  refusedForms: RefusedForms
  provenSignUps: Kept<string>
  rp: RelyingParty
  offers: SignInOffers
}): SignUpPasskey {
  /** Returns the proven address of this interaction, unless it was used or has expired since. */
  const pendingOf = (ctx: Context, interaction: Interaction) =>
    findPending(db, storage.envelope, provenSignUps.read(ctx, interaction.uid))

  const leadToForm = (ctx: Context, { uid }: Interaction) => {
    ctx.status = 303
    ctx.redirect(`/interaction/${uid}/sign-up`)
  }

  return {
    async show(ctx, interaction) {
      const pending = await pendingOf(ctx, interaction)
      if (!pending) return leadToForm(ctx, interaction)
      const error = refusedForms.takeOf(ctx, interaction.uid, 'sign-up-passkey')?.error
      if (error) ctx.status = 400
      const fields = interactions.hiddenFields(interaction)
      ctx.body = render(readerOf(ctx), 'sign-up-passkey', {
        ...fields,
        email: pending.email,
        passwords: offers.passwords,
        error,
      })
    },

    async options(ctx, interaction) {
      const pending = await pendingOf(ctx, interaction)
      if (!pending) return ctx.throw(409, 'This sign-up has ended.')
      const { name } = (pending.data['profile'] ?? {}) as { name?: string }
      const belonging = { purpose, browserHash: askerOf(interaction) } as const
      const holder = { account: undefined, email: pending.email, name: name ?? '' }
      ctx.body = await creationOptions(db, rp, belonging, holder)
    },

    async submit(ctx, interaction, { response }) {
      const pending = await pendingOf(ctx, interaction)
      if (!pending) return leadToForm(ctx, interaction)
      const browserHash = askerOf(interaction)
      const verified = await verifyRegistration(rp, purpose, response)
      const { browser, system } = deviceOf(ctx.get('user-agent'))
      const name = [browser, system].filter(Boolean).join(', ')
      const belonging = { purpose, browserHash, origin: rp.origin } as const

      const account = verified
        ? await act(byPerson(ctx), (context) =>
            complete(context, { idHash: pending.idHash }, browserHash, { passkey: verified, belonging, name }),
          )
        : 'no-passkey'

      if (account === 'no-passkey') {
        return refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-up-passkey', error: 'failed' })
      }
      if (typeof account === 'string') return leadToForm(ctx, interaction)
      const proof = { ...proofBy('passkey'), isUserVerified: true }
      await interactions.signIn(ctx, interaction, { accountId: account.id, epoch: account.epoch, proof })
    },
  }
}

async function findPending(
  db: Db,
  envelope: Envelope,
  idHash: string | undefined,
): Promise<confirmations.Confirmation | undefined> {
  const found = idHash && (await confirmations.findByHash(db, envelope, Buffer.from(idHash, 'base64url')))
  return found && found.state === 'valid' && needsPasskey(found.confirmation) ? found.confirmation : undefined
}

/** Returns whether a sign-up still needs a passkey, because its person chose no password. */
export function needsPasskey({ purpose: of, data }: confirmations.Confirmation): boolean {
  return of === 'sign-up' && data['passwordHash'] === undefined
}

import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction, InteractionResults } from 'oidc-provider'
import { z } from 'zod'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import { proofBy } from '../../authentication/proofs.ts'
import type { Db } from '../../database/schema.ts'
import { signInEnded } from '../../oidc/prompts.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { SignInError, SignInOffers, SignInReason } from '../../views/pages/sign-in.ts'
import type { Render } from '../../views/render.ts'
import type { BrowserSignIn } from './browser-sign-in.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { Kept } from './kept.ts'
import { longestEmail, type RefusedForms } from './refused-forms.ts'
import { shownClientOf } from './shown-client.ts'
import type { Stays } from './stays.ts'
import type { UpstreamSignIn } from './upstream-sign-in.ts'

export const signInForm = ownForm.extend({ email: z.string().default(''), password: z.string().default('') })

/** The part of a rejected form that the page shows again, and why the form was rejected. */
export type SignInAgain = {
  error?: SignInError
  email?: string
  retryAfterSeconds?: number | undefined
  credentialId?: string | undefined
}

export type AccountSignIn = {
  show(ctx: Context, interaction: Interaction, again?: SignInAgain): Promise<void>
  submit: Handler<z.output<typeof signInForm>>
}

const unavailableSeconds = 60 // somebody has to repair the directory
const busySeconds = 2 // the queue of passwords to verify is a second long

const statusOf = {
  incomplete: 400,
  'no-address': 400,
  'wrong-credentials': 401,
  'too-many-attempts': 429,
  busy: 503,
  'upstream-failed': 502,
  'upstream-cancelled': 200,
  'upstream-no-address': 403,
  'upstream-link-first': 403,
  'upstream-closed': 403,
  passkey: 401,
  'passkey-unknown': 401,
  unavailable: 503,
} satisfies Record<SignInError, number>

/** Creates the sign-in page, and the handler of its form. */
export function accountSignIn({
  db,
  provider,
  render,
  interactions,
  signIn,
  refusedForms,
  typedAddresses,
  offers,
  relyingParty,
  stays,
  upstream,
}: {
  db: Db
  provider: Provider
  render: Render
  interactions: Interactions
  signIn: BrowserSignIn
  refusedForms: RefusedForms
  typedAddresses: Kept<string>
  offers: SignInOffers
  relyingParty: RelyingParty | undefined
  stays: Stays
  upstream: UpstreamSignIn
}): AccountSignIn {
  return {
    async show(ctx, interaction, { error, email, retryAfterSeconds, credentialId } = {}) {
      const client = await shownClientOf(provider, interaction, readerOf(ctx))
      const reason = reasonOf(interaction, { isFirst: email === undefined })
      const filledIn = email ?? typedAddresses.read(ctx, interaction.uid) ?? (await suggestedEmail(interaction))

      if (error) {
        const wait = error === 'busy' ? busySeconds : error === 'unavailable' ? unavailableSeconds : retryAfterSeconds
        ctx.status = statusOf[error]
        if (wait) ctx.set('Retry-After', String(wait))
      }
      ctx.body = render(readerOf(ctx), 'sign-in', {
        ...interactions.hiddenFields(interaction),
        client,
        email: filledIn,
        error,
        retryAfterSeconds,
        reason,
        offers,
        ...(await upstream.offered()),
        unknownPasskey:
          credentialId === undefined || !relyingParty ? undefined : { rpId: relyingParty.id, credentialId },
        computer: { isAsked: stays.asks, isOther: stays.asks && !interactions.isLasting(ctx, interaction) },
      })
    },

    async submit(ctx, interaction, { email, password }) {
      if (email.trim() && !password && (await upstream.followDomain(ctx, interaction, email))) return
      if (!email.trim() || !password || email.length > longestEmail) {
        refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-in', error: 'incomplete', email })
        return
      }

      const outcome = await signIn(ctx, { email, password, isLasting: interactions.isLasting(ctx, interaction) })

      if ('error' in outcome) {
        refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-in', ...outcome, email })
        return
      }
      const { accountId, epoch } = outcome
      await interactions.signIn(ctx, interaction, { accountId, epoch, proof: proofBy('password') })
    },
  }

  /** Returns the email to fill in: the one the app names, or that of the person who has to sign in again. */
  async function suggestedEmail(interaction: Interaction): Promise<string> {
    const { session, params } = interaction
    if (typeof params['login_hint'] === 'string') return params['login_hint'].slice(0, longestEmail)
    const isSamePerson = isAgain(interaction) && !isForSomebodyElse(interaction)
    const account = isSamePerson && session ? await accounts.findById(db, session.accountId) : undefined
    return account?.email ?? ''
  }
}

/** Returns the reason why a person has to sign in again. `isFirst` means that they have not sent a form yet. */
function reasonOf(interaction: Interaction, { isFirst }: { isFirst: boolean }): SignInReason | undefined {
  if (interaction.prompt.reasons.includes(signInEnded)) return 'sign-in-ended'
  if (!isAgain(interaction)) return undefined
  if (isForSomebodyElse(interaction)) return 'account-mismatch'
  return isFirst ? 'reauthenticate' : undefined
}

/** Returns whether a signed-in person has to sign in once more. */
function isAgain({ prompt, session }: Interaction): boolean {
  return prompt.name === 'login' && session !== undefined
}

/** Returns whether the app asks for somebody other than the signed-in person. */
function isForSomebodyElse({ prompt }: Interaction): boolean {
  return prompt.reasons.some((reason) => ['id_token_hint', 'claims_id_token_sub_value'].includes(reason))
}

/**
 * Returns whether signing in cannot satisfy a request: the person just did, and the request still requires another
 * authentication context. The page would appear again without end.
 */
export function isUnattainable({ prompt, lastSubmission }: Interaction): boolean {
  const isAcr = prompt.reasons.every((reason) => reason === 'essential_acr' || reason === 'essential_acrs')
  return prompt.name === 'login' && isAcr && (lastSubmission as InteractionResults | undefined)?.login !== undefined
}

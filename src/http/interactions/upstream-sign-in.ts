import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import * as upstreamSignIns from '../../accounts/upstream-sign-in.ts'
import { nameOf, type Upstream } from '../../authentication/federation/settings.ts'
import type { Verified } from '../../authentication/federation/verified.ts'
import { type Proof, proofBy } from '../../authentication/proofs.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as upstreamRequests from '../../stores/people/upstream-requests.ts'
import { byPerson } from '../by-person.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import { askerOf } from './asker.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { RefusedForms } from './refused-forms.ts'
import type { SignUp } from './sign-up-begin.ts'

export const upstreamForm = ownForm.extend({ provider: z.string().max(64).default('') })

/** A provider that the sign-in page has a button for. */
export type OfferedProvider = { id: string; name: string; preset: string }

export type UpstreamSignIn = {
  /** Returns the providers with a button, and whether one decides about a domain. */
  offered(): Promise<{ providers: OfferedProvider[]; isPasswordOptional: boolean }>
  /** Sends the browser to a provider, if the app names one or only one way leads in. Returns whether it did. */
  followHint(ctx: Context, interaction: Interaction): Promise<boolean>
  /** Sends the browser to the provider that decides about the domain of an address. Returns whether there is one. */
  followDomain(ctx: Context, interaction: Interaction, email: string): Promise<boolean>
  submit: Handler<z.output<typeof upstreamForm>>
  /** Goes on in the interaction with the person that a provider named. */
  finish: Handler<unknown>
}

/** Creates the sign-in with an account at another provider. */
export function upstreamSignIn({
  act,
  interactions,
  refusedForms,
  upstreams,
  signUp,
}: {
  act: Acting
  interactions: Interactions
  refusedForms: RefusedForms
  upstreams: Upstreams
  signUp: Pick<SignUp, 'rules'>
}): UpstreamSignIn {
  async function begin(ctx: Context, interaction: Interaction, upstream: Upstream, email?: string): Promise<void> {
    const { uid, params, session, prompt } = interaction
    const hint = params['login_hint']
    const isBegun = await upstreams.begin(ctx, upstream, {
      browserHash: askerOf(interaction),
      purpose: { interaction: uid },
      loginHint: email ?? (typeof hint === 'string' ? hint : undefined),
      isAgain: prompt.name === 'login' && session !== undefined,
    })
    if (!isBegun) refusedForms.leadBack(ctx, uid, { page: 'sign-in', error: 'upstream-failed', email: '' })
  }

  return {
    async offered() {
      const all = await upstreams.list()
      const shown = all.filter(({ settings }) => settings.shows_button)
      return {
        providers: shown.map((upstream) => ({ id: upstream.id, name: nameOf(upstream), preset: upstream.preset })),
        isPasswordOptional: all.some(({ authorityDomains }) => authorityDomains.length > 0),
      }
    },

    async followHint(ctx, interaction) {
      const { params, prompt } = interaction
      if (prompt.name !== 'login') return false
      const all = await upstreams.list()
      const hint = params['idp_hint']
      const named =
        all.find(({ id }) => id === hint) ??
        (hint === undefined ? all.find(({ settings }) => settings.is_alone) : undefined)
      if (!named) return false
      await begin(ctx, interaction, named)
      return true
    },

    async followDomain(ctx, interaction, email) {
      const named = (await upstreams.list()).find((upstream) => upstreamSignIns.isAuthority(upstream, email))
      if (!named) return false
      await begin(ctx, interaction, named, email)
      return true
    },

    async submit(ctx, interaction, { provider: id }) {
      const named = (await upstreams.list()).find((upstream) => upstream.id === id)
      if (named) await begin(ctx, interaction, named)
      else refusedForms.leadBack(ctx, interaction.uid, { page: 'sign-in', error: 'upstream-failed', email: '' })
    },

    async finish(ctx, interaction) {
      const { uid, session } = interaction
      const { language } = readerOf(ctx)
      const outcome = await act(byPerson(ctx), async (context) => {
        const finished = await upstreamRequests.finish<UpstreamAnswer>(
          context.tx,
          context.envelope,
          askerOf(interaction),
        )
        if (finished?.purpose.interaction !== uid) return undefined
        const { providerId, verified } = finished.data
        const upstream = await upstreams.find(providerId, context.tx)
        if (!upstream) return undefined
        const by = { upstream, verified, rules: signUp.rules, language, keptSessionUid: session?.uid }
        return { providerId, verified, account: await upstreamSignIns.signIn(context, by) }
      })
      if (outcome === undefined || typeof outcome.account === 'string') {
        const error = outcome === undefined ? 'upstream-failed' : (outcome.account as upstreamSignIns.UpstreamRefusal)
        const email = error === 'upstream-link-first' ? (outcome?.verified.email ?? '') : ''
        refusedForms.leadBack(ctx, uid, { page: 'sign-in', error, email })
        return
      }
      const { id: accountId, epoch } = outcome.account
      await interactions.signIn(ctx, interaction, { accountId, epoch, proof: proofOf(outcome) })
    },
  }
}

/** The verified answer of a provider, which waits for the browser to come back to where it began. */
export type UpstreamAnswer = { providerId: string; verified: Verified }

/** Returns the proof of a sign-in at a provider. Only a trusted provider has methods. */
function proofOf({ providerId: provider, verified: { amr, sid, signedInAt } }: UpstreamAnswer): Proof {
  const proof = proofBy('upstream')
  return {
    ...proof,
    provider,
    ...(sid !== undefined && { sid }),
    at: Math.min(proof.at, signedInAt ?? proof.at),
    ...(amr.length > 0 && { amr, isTwoFactor: amr.includes('mfa') }),
  }
}

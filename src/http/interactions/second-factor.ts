import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import { useMailedCode } from '../../accounts/mailed-factor.ts'
import { use as usePasskey } from '../../accounts/passkey-use.ts'
import * as secondFactors from '../../accounts/second-factors.ts'
import type { FactorLimits } from '../../authentication/factor-limits.ts'
import type { MailLimits } from '../../authentication/mail-limits.ts'
import { codeHashWith } from '../../authentication/mailed-codes.ts'
import { requestOptions } from '../../authentication/passkeys/options.ts'
import type { RelyingParty } from '../../authentication/passkeys/relying-party.ts'
import { proofBy } from '../../authentication/proofs.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Secret } from '../../secret.ts'
import { canonicalEmail } from '../../stores/people/accounts.ts'
import * as confirmations from '../../stores/people/confirmations.ts'
import type { SecondFactorWay } from '../../views/pages/second-factor.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from './asker.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { RefusedForms } from './refused-forms.ts'
import type { RememberedDevices } from './remembered-devices.ts'
import type { Steps, Traveller } from './steps.ts'

export const secondFactorForm = ownForm.extend({
  code: z.string().max(64).default(''),
  remember: z.string().optional(),
})

export const passkeyFactorForm = secondFactorForm.extend({ response: z.string().max(50_000).default('') })

type Form = z.output<typeof secondFactorForm>
type PasskeyForm = z.output<typeof passkeyFactorForm>

/** The ways that are a code, the preferred one first. */
const codes = ['totp', 'recovery-code', 'mail'] as const
type CodeWay = (typeof codes)[number]

export type SecondFactor = {
  /** Leads to the page of the way that the person prefers. */
  choose: Handler<unknown>
  show(way: SecondFactorWay): Handler<unknown>
  submit(way: CodeWay): Handler<Form>
  sendCode: Handler<unknown>
  passkeyOptions: Handler<unknown>
  submitPasskey: Handler<PasskeyForm>
}

/**
 * Creates the pages where a person who has given a first factor gives a second one, and the handlers of their forms. Nobody is signed in yet: the first proof waits in this browser.
 */
export function secondFactor({
  db,
  act,
  render,
  interactions,
  steps,
  refusedForms,
  mailLimits,
  factorLimits,
  confirmationKey,
  recoveryKey,
  devices,
  rememberDays,
  relyingParty: rp,
}: {
  db: Db
  act: Acting
  render: Render
  interactions: Interactions
  steps: Steps
  refusedForms: RefusedForms
  mailLimits: MailLimits
  factorLimits: FactorLimits
  confirmationKey: Secret<Buffer>
  recoveryKey: Secret<Buffer>
  devices: RememberedDevices
  rememberDays: number
  relyingParty: RelyingParty | undefined
}): SecondFactor {
  const purpose = 'passkey-second-factor'
  const lead = (ctx: Context, { uid }: Interaction, page: string) => {
    ctx.status = 303
    ctx.redirect(`/interaction/${uid}${page}`)
  }

  /** Returns the person and the ways that are enough; `undefined`, and on with the interaction, if nothing is missing. */
  async function waiting(ctx: Context, interaction: Interaction) {
    const traveller = await steps.find(ctx, interaction)
    if (traveller?.decision.step !== 'second-factor') {
      lead(ctx, interaction, '')
      return undefined
    }
    return { ...traveller, ways: traveller.decision.ways as SecondFactorWay[] }
  }

  /** Checks a code, once. */
  function isRight(ctx: Context, interaction: Interaction, traveller: Traveller, way: CodeWay, code: string) {
    const { id } = traveller.account
    const typed = code.normalize('NFKC') // some keyboards type wide digits
    return act(byPerson(ctx), async (context) => {
      if (way === 'totp') return secondFactors.useTotp(context, id, typed)
      if (way === 'recovery-code') return secondFactors.useRecoveryCode(context, id, { code: typed, recoveryKey })
      const browserHash = askerOf(interaction)
      const codeHashOf = codeHashWith(confirmationKey, typed)
      const tried = await confirmations.tryCode(db, { purpose: 'sign-in', browserHash, codeHashOf })
      return typeof tried !== 'string' && useMailedCode(context, id, { presented: tried, browserHash })
    })
  }

  return {
    async choose(ctx, interaction) {
      const person = await waiting(ctx, interaction)
      const first = person?.ways.find((way) => way !== 'mail')
      if (person) lead(ctx, interaction, `/second-factor/${first ?? 'mail'}`)
    },

    show: (way) => async (ctx, interaction) => {
      const person = await waiting(ctx, interaction)
      if (!person) return
      if (!person.ways.includes(way)) return lead(ctx, interaction, '/second-factor')
      const { error, retryAfterSeconds } = refusedForms.takeOf(ctx, interaction.uid, 'second-factor') ?? {}
      if (error) ctx.status = error === 'too-many-attempts' ? 429 : 401
      if (retryAfterSeconds) ctx.set('Retry-After', String(retryAfterSeconds))
      ctx.body = render(readerOf(ctx), 'second-factor', {
        ...interactions.hiddenFields(interaction),
        way,
        others: person.ways.filter((other) => other !== way),
        email: person.account.email,
        rememberDays: interactions.isLasting(ctx, interaction) ? rememberDays : 0,
        error,
        retryAfterSeconds,
      })
    },

    submit:
      (way) =>
      async (ctx, interaction, { code, remember }) => {
        const person = await waiting(ctx, interaction)
        if (!person) return
        if (!person.ways.includes(way)) return lead(ctx, interaction, '/second-factor')
        const refuse = (error: 'wrong-code' | 'too-many-attempts', retryAfterSeconds?: number) =>
          refusedForms.leadBack(ctx, interaction.uid, { page: 'second-factor', way, error, retryAfterSeconds })
        const { id: accountId, epoch } = person.account
        const attempt = await factorLimits.begin(accountId)
        if ('retryAfterSeconds' in attempt) return refuse('too-many-attempts', attempt.retryAfterSeconds)
        if (!(await isRight(ctx, interaction, person, way, code))) return refuse('wrong-code')
        await attempt.giveBack()
        if (remember !== undefined) await devices.remember(ctx, { accountId, epoch })
        await interactions.signIn(ctx, interaction, { accountId, epoch, proof: proofBy(way) })
      },

    async passkeyOptions(ctx, interaction) {
      const person = await waiting(ctx, interaction)
      if (!person || !rp) return
      const { id, epoch } = person.account
      ctx.body = await requestOptions(db, rp, { purpose, browserHash: askerOf(interaction) }, { id, epoch })
    },

    async submitPasskey(ctx, interaction, { response, remember }) {
      const person = await waiting(ctx, interaction)
      if (!person || !rp) return
      const asked = { purpose, browserHash: askerOf(interaction) } as const
      const { id: accountId, epoch } = person.account
      const outcome = await act(byPerson(ctx), async (context) => {
        const used = await usePasskey(context, { rp, asked, response, accountId })
        const isUsed = !('refusal' in used)
        if (isUsed) context.record({ type: 'sign_in.second_factor', accountId, details: { method: 'passkey' } })
        return used
      })
      if ('refusal' in outcome) {
        return refusedForms.leadBack(ctx, interaction.uid, { page: 'second-factor', way: 'passkey', error: 'failed' })
      }
      if (remember !== undefined) await devices.remember(ctx, { accountId, epoch })
      const proof = { ...proofBy('passkey'), isUserVerified: outcome.isUserVerified }
      await interactions.signIn(ctx, interaction, { accountId, epoch, proof })
    },

    async sendCode(ctx, interaction) {
      const person = await waiting(ctx, interaction)
      if (!person?.ways.includes('mail')) return
      const { email } = person.account
      if (await mailLimits({ kind: 'code', email: canonicalEmail(email), address: ctx.ip })) {
        const browserHash = askerOf(interaction).toString('base64url')
        const { language } = readerOf(ctx)
        await act(byPerson(ctx), async ({ mail }) =>
          mail({ kind: 'sign-in-code', to: email, language, browserHash, interaction: interaction.uid }),
        )
      }
      lead(ctx, interaction, '/second-factor/mail')
    },
  }
}

import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import * as secondFactors from '../../accounts/second-factors.ts'
import type { FactorLimits } from '../../authentication/factor-limits.ts'
import { proofBy } from '../../authentication/proofs.ts'
import type { CurrentBrand } from '../../brand/index.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Secret } from '../../secret.ts'
import * as factors from '../../stores/people/factors.ts'
import * as totp from '../../stores/people/totp.ts'
import type { Render } from '../../views/render.ts'
import { secretShown } from '../authenticator-page.ts'
import { byPerson } from '../by-person.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { RefusedForms } from './refused-forms.ts'
import type { Steps } from './steps.ts'

export const enrolForm = ownForm.extend({ code: z.string().max(64).default('') })

export type FactorEnrol = {
  show: Handler<unknown>
  /** Makes a secret for an authenticator app, and leads to its page. */
  begin: Handler<unknown>
  showApp: Handler<unknown>
  confirm: Handler<z.output<typeof enrolForm>>
  /** Goes on without, as long as that is allowed. */
  putOff: Handler<unknown>
}

/**
 * Creates the pages where a person sets up a second factor that is required of them, before anything is issued. They have given
 * a first factor and are not signed in yet.
 */
export function factorEnrol({
  db,
  act,
  envelope,
  render,
  brand,
  interactions,
  steps,
  refusedForms,
  factorLimits,
  recoveryKey,
  graceSeconds,
}: {
  db: Db
  act: Acting
  envelope: Envelope
  render: Render
  brand: CurrentBrand
  interactions: Interactions
  steps: Steps
  refusedForms: RefusedForms
  factorLimits: FactorLimits
  recoveryKey: Secret<Buffer>
  graceSeconds: number
}): FactorEnrol {
  const lead = (ctx: Context, { uid }: Interaction, page: string) => {
    ctx.status = 303
    ctx.redirect(`/interaction/${uid}${page}`)
  }

  /** Returns the person who has to set up a factor; leads on with the interaction if nobody has to. */
  async function waiting(ctx: Context, interaction: Interaction) {
    const traveller = await steps.find(ctx, interaction)
    if (traveller?.decision.step !== 'enrol') {
      lead(ctx, interaction, '')
      return undefined
    }
    return { account: traveller.account, canWait: traveller.decision.canWait && graceSeconds > 0 }
  }

  return {
    async show(ctx, interaction) {
      const person = await waiting(ctx, interaction)
      if (!person) return
      const { graceEndsAt } = await factors.find(db, person.account.id)
      ctx.body = render(readerOf(ctx), 'enrol', {
        ...interactions.hiddenFields(interaction),
        until: person.canWait ? (graceEndsAt ?? new Date(Date.now() + graceSeconds * 1000)) : undefined,
      })
    },

    async begin(ctx, interaction) {
      const person = await waiting(ctx, interaction)
      if (!person) return
      await act(byPerson(ctx), (context) => secondFactors.beginTotp(context, person.account.id))
      lead(ctx, interaction, '/enrol/app')
    },

    async showApp(ctx, interaction) {
      const person = await waiting(ctx, interaction)
      const pending = person && (await totp.find(db, envelope, person.account.id))
      if (!person) return
      if (!pending || pending.isConfirmed) return lead(ctx, interaction, '/enrol')
      const isWrong = refusedForms.takeOf(ctx, interaction.uid, 'enrol') !== undefined
      if (isWrong) ctx.status = 400
      ctx.body = render(readerOf(ctx), 'authenticator', {
        action: `/interaction/${interaction.uid}/enrol/app`,
        hidden: interactions.hiddenFields(interaction),
        ...secretShown(pending.secret, { service: brand().name, account: person.account.email }),
        isWrong,
        back: `/interaction/${interaction.uid}/enrol`,
      })
    },

    async confirm(ctx, interaction, { code }) {
      const person = await waiting(ctx, interaction)
      if (!person) return
      const { id: accountId, epoch } = person.account
      const attempt = await factorLimits.begin(accountId)
      const isAllowed = 'giveBack' in attempt
      const confirmed = isAllowed
        ? await act(byPerson(ctx), (context) => secondFactors.confirmTotp(context, accountId, { code, recoveryKey }))
        : 'wrong-code'
      if (confirmed === 'wrong-code') return refusedForms.leadBack(ctx, interaction.uid, { page: 'enrol' })
      if (isAllowed) await attempt.giveBack()
      // The interaction goes on when the person has seen the codes: they are shown only now.
      const { person: known } = await steps.join(ctx, interaction, { accountId, epoch, proof: proofBy('totp') })
      steps.keep(ctx, interaction, known)
      ctx.body = render(readerOf(ctx), 'recovery-codes', {
        codes: confirmed.recoveryCodes,
        next: `/interaction/${interaction.uid}`,
      })
    },

    async putOff(ctx, interaction) {
      const person = await waiting(ctx, interaction)
      if (!person?.canWait) return
      const { id: accountId, epoch } = person.account
      const endsAt = new Date(Date.now() + graceSeconds * 1000)
      const until = await act(byPerson(ctx), ({ tx }) => factors.beginGrace(tx, accountId, endsAt))
      const proof = { ...proofBy('grace'), until: Math.floor(until.getTime() / 1000) }
      await interactions.signIn(ctx, interaction, { accountId, epoch, proof })
    },
  }
}

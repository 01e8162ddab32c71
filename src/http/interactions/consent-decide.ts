import type { Context } from 'koa'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import type { Db } from '../../database/schema.ts'
import type { Permissions } from '../../oidc/consent/decision.ts'
import * as decisions from '../../oidc/consent/record.ts'
import type { ConsentRequest, ConsentRequests } from '../../oidc/consent/request.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { FindStoppedSignIn } from '../../oidc/request/stopped-sign-ins.ts'
import { recordEvent } from '../../oidc/request/work.ts'
import type { ConsentError, ConsentItem } from '../../views/pages/consent.ts'
import type { Render } from '../../views/render.ts'
import { ticks } from '../forms.ts'
import { type Handler, type Interactions, ownForm } from './interactions.ts'
import type { RefusedForms } from './refused-forms.ts'

export const consentForm = ownForm.extend({
  decision: z.enum(['allow', 'deny']),
  scope: ticks,
  claim: ticks,
  resource_scope: ticks,
})

type Session = NonNullable<Interaction['session']>

export type ConsentDecide = {
  show(ctx: Context, interaction: Interaction, error: ConsentError | undefined): Promise<void>
  submit: Handler<z.output<typeof consentForm>>
}

/** Creates the consent page, and the handler of its form. */
export function consentDecide({
  db,
  render,
  interactions,
  consentRequests,
  refusedForms,
  findStoppedSignIn,
  grantLifetimeSeconds,
}: {
  db: Db
  render: Render
  interactions: Interactions
  consentRequests: ConsentRequests
  refusedForms: RefusedForms
  findStoppedSignIn: FindStoppedSignIn
  grantLifetimeSeconds: number
}): ConsentDecide {
  return {
    async show(ctx, interaction, error) {
      const { page } = await consentRequests.of(interaction, readerOf(ctx).language)
      const shown = error === 'nothing-granted' ? unticked(page) : page

      if (error) ctx.status = 400
      ctx.body = render(readerOf(ctx), 'consent', { ...interactions.hiddenFields(interaction), ...shown, error })
    },

    async submit(ctx, interaction, fields) {
      const { session, prompt } = interaction
      if (prompt.name !== 'consent' || !session) return ctx.throw(400, 'There is nothing to consent to.')

      if (fields.decision === 'deny') await deny(ctx, interaction, session)
      else await allow(ctx, { interaction, session, ticked: fields })
    },
  }

  async function deny(ctx: Context, interaction: Interaction, { accountId }: Session): Promise<void> {
    recordEvent({ type: 'consent.denied', accountId, clientId: String(interaction.params['client_id']) })

    const answer = { error: 'access_denied', error_description: 'the person denied the request' }
    await interactions.finish(ctx, interaction, answer)
  }

  async function allow(
    ctx: Context,
    {
      interaction,
      session,
      ticked,
    }: { interaction: Interaction; session: Session; ticked: z.output<typeof consentForm> },
  ): Promise<void> {
    const request = await consentRequests.of(interaction, readerOf(ctx).language)
    const approved = consentRequests.approve(request, ticked)
    if (typeof approved === 'string') {
      refusedForms.leadBack(ctx, interaction.uid, { page: 'consent', error: approved })
      return
    }

    const grantId = await record(ctx, { request, session, approved })

    if (grantId === 'session-ended') {
      const { back } = await findStoppedSignIn(interaction.uid)
      return ctx.throw(410, 'The sign-in has ended.', { page: 'expired', back })
    }
    await interactions.finish(ctx, interaction, { consent: { grantId } })
  }

  function record(
    ctx: Context,
    { request, session, approved }: { request: ConsentRequest; session: Session; approved: Permissions },
  ): Promise<string | 'session-ended'> {
    return decisions.record(db, {
      accountId: session.accountId,
      sessionUid: session.uid,
      clientId: request.clientId,
      asked: request.asked,
      approved,
      shown: request.shown,
      registrations: request.registrations,
      lifetimeSeconds: grantLifetimeSeconds,
      event: { requestId: ctx.state['requestId'], address: ctx.ip },
    })
  }
}

/** Unticks what can be unticked, as the person just did. */
function unticked(page: ConsentRequest['page']): ConsentRequest['page'] {
  const untick = <Item extends ConsentItem>(item: Item): Item => ({ ...item, checked: item.required })
  return {
    ...page,
    scopes: page.scopes.map(untick),
    claims: page.claims.map(untick),
    resources: page.resources.map((resource) => ({ ...resource, scopes: resource.scopes.map(untick) })),
  }
}

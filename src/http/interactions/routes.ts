import Router from '@koa/router'
import type { Context } from 'koa'
import { errors, type Interaction, type InteractionResults } from 'oidc-provider'
import { z } from 'zod'
import { passwordClass } from '../../oidc/acr.ts'
import * as consent from '../../oidc/consent/decision.ts'
import { createConsentRequests } from '../../oidc/consent/request.ts'
import { note } from '../../oidc/request/work.ts'
import { form, readForm, ticks } from '../forms.ts'
import type { InteractionDependencies } from './dependencies.ts'
import { createInteractionPages, isUnattainable, longestEmail } from './pages.ts'
import { createRefusedForms } from './refused-forms.ts'
import { refuseStray } from './strays.ts'

/** The engine's account of a sign-in, with the epoch in which the password was verified. */
type Login = NonNullable<InteractionResults['login']> & { epoch: number }

const ownForm = z.object({ csrf: z.string().default(''), uid: z.string().default('') })
const signInForm = ownForm.extend({ email: z.string().default(''), password: z.string().default('') })
const continueForm = ownForm.extend({ decision: z.enum(['continue', 'switch']) })
const consentForm = ownForm.extend({
  decision: z.enum(['allow', 'deny']),
  scope: ticks,
  claim: ticks,
  resource_scope: ticks,
})

/** Signing in, choosing the account, and consenting: what stands between an authorization request and its answer. */
export function interactionRoutes(dependencies: InteractionDependencies): Router {
  const { db, provider, csrf, signIn, findWayBack, grantLifetimeSeconds } = dependencies
  const consentRequests = createConsentRequests(dependencies)
  const pages = createInteractionPages({ ...dependencies, consentRequests })
  const refusedForms = createRefusedForms({ isSecure: dependencies.issuer.startsWith('https:') })
  const acr = passwordClass(dependencies.issuer)
  const router = new Router({ prefix: '/interaction/:uid' })

  router.use(async (ctx, next) => {
    ctx.set('Cache-Control', 'no-store')
    await next()
  })

  router.get('/', async (ctx) => {
    const interaction = await details(ctx)
    const { prompt, session, uid } = interaction
    const refused = refusedForms.take(ctx, uid)

    if (refused && refused.error !== 'invalid-consent') {
      await pages.showSignIn(ctx, interaction, refused)
    } else if (prompt.name === 'consent' && session) {
      await pages.showConsent(ctx, interaction, refused && 'invalid')
    } else if (prompt.name === 'select_account' && session) {
      await pages.showAccount(ctx, interaction, session.accountId)
    } else if (isUnattainable(interaction)) {
      await finish(ctx, interaction, {
        error: 'unmet_authentication_requirements',
        error_description: 'the requested authentication could not be obtained',
      })
    } else {
      await pages.showSignIn(ctx, interaction)
    }
  })

  router.post('/sign-in', form, async (ctx) => {
    const interaction = await details(ctx)
    const { email, password } = readOwn(ctx, interaction, signInForm)
    if (!email.trim() || !password || email.length > longestEmail) {
      refusedForms.leadBack(ctx, interaction.uid, { error: 'incomplete', email })
      return
    }

    const outcome = await signIn(ctx, { email, password })

    if ('error' in outcome) {
      refusedForms.leadBack(ctx, interaction.uid, { ...outcome, email })
      return
    }
    const { accountId, epoch } = outcome
    await finish(ctx, interaction, {
      login: { accountId, epoch, ts: Math.floor(Date.now() / 1000), acr, amr: ['pwd'], remember: true } as Login,
      select_account: {},
    })
  })

  router.post('/continue', form, async (ctx) => {
    const interaction = await details(ctx)
    const { decision } = readOwn(ctx, interaction, continueForm)
    if (interaction.prompt.name !== 'select_account') ctx.throw(400, 'There is no account to choose.')

    if (decision === 'switch' || !interaction.session) await pages.showSignIn(ctx, interaction, { email: '' })
    else await finish(ctx, interaction, { select_account: {} })
  })

  router.post('/switch', form, async (ctx) => {
    const interaction = await details(ctx)
    readOwn(ctx, interaction, ownForm)
    await pages.showSignIn(ctx, interaction, { email: '' })
  })

  router.post('/abort', form, async (ctx) => {
    const interaction = await details(ctx)
    readOwn(ctx, interaction, ownForm)
    await finish(ctx, interaction, { error: 'access_denied', error_description: 'the person cancelled' })
  })

  router.post('/consent', form, async (ctx) => {
    const interaction = await details(ctx)
    const fields = readOwn(ctx, interaction, consentForm)
    const { session, prompt } = interaction
    if (prompt.name !== 'consent' || !session) return ctx.throw(400, 'There is nothing to consent to.')
    if (fields.decision === 'deny') {
      note({
        type: 'consent.denied',
        accountId: session.accountId,
        clientId: String(interaction.params['client_id']),
      })
      await finish(ctx, interaction, { error: 'access_denied', error_description: 'the person denied the request' })
      return
    }
    const request = await consentRequests.of(interaction)
    const approved = consentRequests.approve(request, fields)
    if (approved === 'invalid') {
      refusedForms.leadBack(ctx, interaction.uid, { error: 'invalid-consent' })
      return
    }

    const grantId = await consent.record(db, {
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
    if (grantId === 'session-ended') {
      const { back } = await findWayBack(interaction.uid)
      return ctx.throw(410, 'The sign-in has ended.', { page: 'expired', back })
    }
    await finish(ctx, interaction, { consent: { grantId } })
  })

  return router

  /** The interaction of this path, if this browser began it and it goes on. Otherwise throws what to show. */
  async function details(ctx: Context): Promise<Interaction> {
    const uid = String(ctx['params'].uid)
    let interaction: Interaction | undefined
    try {
      interaction = await provider.interactionDetails(ctx.req, ctx.res)
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error
    }
    return interaction?.uid === uid ? interaction : refuseStray(ctx, uid, findWayBack)
  }

  /** The fields of a form of this interaction. One from anywhere else is refused before anything in it is read. */
  function readOwn<Schema extends z.ZodType>(ctx: Context, { uid }: Interaction, schema: Schema): z.output<Schema> {
    csrf.assertOwnForm(ctx, uid, readForm(ctx, ownForm))
    return readForm(ctx, schema)
  }

  async function finish(ctx: Context, interaction: Interaction, result: InteractionResults): Promise<void> {
    const returnTo = await provider.interactionResult(ctx.req, ctx.res, result)
    // The engine leaves its cookie behind; another interaction has another path, so nobody else needs it.
    ctx.cookies.set(provider.cookieName('interaction'), null, {
      path: `/interaction/${interaction.uid}`,
      overwrite: true,
    })
    ctx.status = 303
    ctx.redirect(returnTo)
  }
}

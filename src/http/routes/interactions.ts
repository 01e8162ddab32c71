import Router from '@koa/router'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { errors, type Interaction, type InteractionResults } from 'oidc-provider'
import { z } from 'zod'
import type { Db } from '../../database/schema.ts'
import { askerOf } from '../../oidc/askers.ts'
import * as consent from '../../oidc/consent.ts'
import { type ConsentRequest, createConsentRequests } from '../../oidc/consent-request.ts'
import { signInEnded } from '../../oidc/prompts.ts'
import { note } from '../../oidc/request-scope.ts'
import type { ResourceServers } from '../../oidc/resource-servers.ts'
import type { FindWayBack } from '../../oidc/way-back.ts'
import * as accounts from '../../stores/accounts.ts'
import type { Render, SignInError } from '../../views.ts'
import type { BrowserSignIn } from '../browser-sign-in.ts'
import type { Csrf } from '../csrf.ts'
import { form, readForm, ticks } from '../forms.ts'
import { refuseStray } from '../strays.ts'

export type InteractionDependencies = {
  db: Db
  provider: Provider
  render: Render
  csrf: Csrf
  signIn: BrowserSignIn
  resourceServers: ResourceServers
  findWayBack: FindWayBack
  grantLifetimeSeconds: number
}

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

const busySeconds = 2 // the queue of passwords to check is a second long
const longestEmail = 320 // RFC 5321 §4.5.3.1: 64 + 1 + 255

/** Signing in, choosing the account, and consenting: what stands between an authorization request and its answer. */
export function interactionRoutes(dependencies: InteractionDependencies): Router {
  const { db, provider, render, csrf, signIn, findWayBack, grantLifetimeSeconds } = dependencies
  const consentRequests = createConsentRequests(dependencies)
  const router = new Router({ prefix: '/interaction/:uid' })

  router.use(async (ctx, next) => {
    ctx.set('Cache-Control', 'no-store')
    await next()
  })

  router.get('/', async (ctx) => {
    const interaction = await details(ctx)
    const { prompt, session } = interaction

    if (prompt.name === 'consent' && session) {
      await showConsent(ctx, interaction, undefined)
    } else if (prompt.name === 'select_account' && session) {
      const account = await accounts.findById(db, session.accountId)
      const { client } = await about(interaction)
      ctx.body = render('continue-as', {
        ...hidden(interaction),
        client,
        account: { name: nameOf(account), email: account?.email ?? '' },
      })
    } else if (isUnattainable(interaction)) {
      await finish(ctx, interaction, {
        error: 'unmet_authentication_requirements',
        error_description: 'the requested authentication could not be obtained',
      })
    } else {
      await showSignIn(ctx, interaction, { error: undefined })
    }
  })

  router.post('/sign-in', form, async (ctx) => {
    const interaction = await details(ctx)
    const { email, password } = readOwn(ctx, interaction, signInForm)
    if (!email.trim() || !password || email.length > longestEmail) {
      ctx.status = 400
      await showSignIn(ctx, interaction, { error: 'incomplete', email })
      return
    }

    const outcome = await signIn(ctx, { email, password })

    if ('error' in outcome) {
      const retryAfterSeconds = 'retryAfterSeconds' in outcome ? outcome.retryAfterSeconds : undefined
      const hint = outcome.error === 'busy' ? busySeconds : retryAfterSeconds
      ctx.status = { 'wrong-credentials': 401, 'too-many-attempts': 429, busy: 503 }[outcome.error]
      if (hint) ctx.set('Retry-After', String(hint))
      await showSignIn(ctx, interaction, { error: outcome.error, email, retryAfterSeconds })
      return
    }
    const { accountId, epoch } = outcome
    await finish(ctx, interaction, {
      login: { accountId, epoch, ts: Math.floor(Date.now() / 1000), amr: ['pwd'], remember: true } as Login,
      select_account: {},
    })
  })

  router.post('/continue', form, async (ctx) => {
    const interaction = await details(ctx)
    const { decision } = readOwn(ctx, interaction, continueForm)
    if (interaction.prompt.name !== 'select_account') ctx.throw(400, 'There is no account to choose.')

    if (decision === 'switch' || !interaction.session)
      await showSignIn(ctx, interaction, { error: undefined, email: '' })
    else await finish(ctx, interaction, { select_account: {} })
  })

  router.post('/switch', form, async (ctx) => {
    const interaction = await details(ctx)
    readOwn(ctx, interaction, ownForm)
    await showSignIn(ctx, interaction, { error: undefined, email: '' })
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
      ctx.status = 400
      await showConsent(ctx, interaction, 'invalid')
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

  async function about(interaction: Interaction) {
    const { client_id: clientId, redirect_uri: redirectUri } = interaction.params
    const client = await provider.Client.find(String(clientId))
    if (!client) throw new errors.SessionNotFound('the client is gone')
    return { metadata: client, client: askerOf(client, String(redirectUri ?? '')) }
  }

  function hidden({ uid }: Interaction): { uid: string; csrf: string } {
    return { uid, csrf: csrf.tokenFor(uid) }
  }

  async function showSignIn(
    ctx: Context,
    interaction: Interaction,
    {
      error,
      email,
      retryAfterSeconds,
    }: { error: SignInError | undefined; email?: string; retryAfterSeconds?: number | undefined },
  ): Promise<void> {
    const { prompt, session, params } = interaction
    const { client } = await about(interaction)
    const isMismatch = prompt.reasons.some((reason) => ['id_token_hint', 'claims_id_token_sub_value'].includes(reason))
    const isAgain = prompt.name === 'login' && session !== undefined
    const known = isAgain && !isMismatch ? await accounts.findById(db, session.accountId) : undefined
    const hint = typeof params['login_hint'] === 'string' ? params['login_hint'].slice(0, longestEmail) : undefined
    ctx.body = render('sign-in', {
      ...hidden(interaction),
      client,
      email: email ?? hint ?? known?.email ?? '',
      error,
      retryAfterSeconds,
      reason: prompt.reasons.includes(signInEnded)
        ? 'sign-in-ended'
        : isMismatch && isAgain
          ? 'account-mismatch'
          : isAgain && email === undefined
            ? 'reauthenticate'
            : undefined,
    })
  }

  async function showConsent(ctx: Context, interaction: Interaction, error: 'invalid' | undefined): Promise<void> {
    const request: ConsentRequest = await consentRequests.of(interaction)
    ctx.body = render('consent', { ...hidden(interaction), ...request.page, error })
  }
}

/** A sign-in that was made and still does not satisfy what was asked for would be asked for without end. */
function isUnattainable({ prompt, lastSubmission }: Interaction): boolean {
  const isAcr = prompt.reasons.every((reason) => reason === 'essential_acr' || reason === 'essential_acrs')
  return prompt.name === 'login' && isAcr && (lastSubmission as InteractionResults | undefined)?.login !== undefined
}

function nameOf(account: accounts.Account | undefined): string {
  return String(account?.profile['name'] ?? '')
}

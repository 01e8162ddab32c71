import Router from '@koa/router'
import type { z } from 'zod'
import { createConsentRequests } from '../../oidc/consent/request.ts'
import { form } from '../forms.ts'
import { accountContinue, continueForm } from './account-continue.ts'
import { accountKeep } from './account-keep.ts'
import { accountSignIn, signInForm } from './account-sign-in.ts'
import { accountSwitch } from './account-switch.ts'
import { codeForm, codeSignIn, linkForm } from './code-sign-in.ts'
import { consentDecide, consentForm } from './consent-decide.ts'
import type { InteractionDependencies } from './dependencies.ts'
import { enrolForm, factorEnrol } from './factor-enrol.ts'
import { interactionShow } from './interaction-show.ts'
import { createInteractions, type Handler, type Interactions, ownForm } from './interactions.ts'
import { createKept } from './kept.ts'
import { passkeyForm, passkeySignIn } from './passkey-sign-in.ts'
import { addressForm, passwordForget } from './password-forget.ts'
import { passwordReplace, replaceForm } from './password-replace.ts'
import { createRefusedForms } from './refused-forms.ts'
import { createRememberedDevices } from './remembered-devices.ts'
import { requestAbort } from './request-abort.ts'
import { passkeyFactorForm, secondFactor, secondFactorForm } from './second-factor.ts'
import { signUpBegin, signUpForm } from './sign-up-begin.ts'
import { signUpCode, signUpCodeForm } from './sign-up-code.ts'
import { signUpPasskey } from './sign-up-passkey.ts'
import { createStays } from './stays.ts'
import { createSteps } from './steps.ts'
import { termsAccept, termsForm } from './terms-accept.ts'
import { upstreamForm, upstreamSignIn } from './upstream-sign-in.ts'

/** Serves the pages between an authorization request and its answer: signing in, choosing an account, consenting. */
export function interactionRoutes(dependencies: InteractionDependencies): Router {
  const isSecure = dependencies.issuer.startsWith('https:')
  const devices = createRememberedDevices({ ...dependencies, days: dependencies.rememberDays, isSecure })
  const steps = createSteps({ ...dependencies, devices, isSecure })
  const stays = createStays({ mode: dependencies.stayMode, isSecure })
  const refusedForms = createRefusedForms({ isSecure })
  const shared = {
    ...dependencies,
    stays,
    steps,
    devices,
    interactions: createInteractions({ ...dependencies, stays, steps, refusedForms }),
    consentRequests: createConsentRequests(dependencies),
    refusedForms,
    provenSignUps: createKept<string>('proven', {
      isSecure,
      lifetimeSeconds: dependencies.interactionLifetimeSeconds,
    }),
    typedAddresses: createKept<string>('address', {
      isSecure,
      lifetimeSeconds: dependencies.interactionLifetimeSeconds,
    }),
  }
  const forget = passwordForget(shared)
  const code = codeSignIn(shared)
  const passkey = dependencies.relyingParty && passkeySignIn({ ...shared, rp: dependencies.relyingParty })
  const firstPasskey = dependencies.relyingParty && signUpPasskey({ ...shared, rp: dependencies.relyingParty })
  const replace = passwordReplace(shared)
  const upstream = upstreamSignIn(shared)
  const signIn = accountSignIn({ ...shared, upstream })
  const signUp = signUpBegin(shared)
  const signUpProof = signUpCode(shared)
  const account = accountContinue({ ...shared, signIn })
  const keep = accountKeep(shared)
  const terms = termsAccept(shared)
  const consent = consentDecide(shared)
  const second = secondFactor(shared)
  const enrol = factorEnrol({ ...shared, envelope: dependencies.storage.envelope })
  const show = interactionShow({ ...shared, signIn, account, keep, replace, terms, consent, signUp, upstream })

  // biome-ignore format: it is a table
  const routes: readonly Route[] = [
    route('get',  '/',         undefined,    show),
    ...(dependencies.offers.passwords ? [route('post', '/sign-in', signInForm, signIn.submit)] : []),
    route('post', '/password', replaceForm,  replace.submit),
    ...(dependencies.offers.signUp ? [
      route('get',  '/sign-up',      undefined,      signUp.show),
      route('post', '/sign-up',      signUpForm,     signUp.submit),
      route('get',  '/sign-up/code', undefined,      signUpProof.show),
      route('post', '/sign-up/code', signUpCodeForm, signUpProof.submit),
      route('post', '/sign-up/link', linkForm,       signUpProof.submitLink),
      ...(firstPasskey ? [
        route('get',  '/sign-up/passkey',         undefined,   firstPasskey.show),
        route('post', '/sign-up/passkey',         passkeyForm, firstPasskey.submit),
        route('post', '/sign-up/passkey/options', ownForm,     firstPasskey.options),
      ] : []),
    ] : []),
    ...(dependencies.offers.recovery ? [
      route('post', '/recover',     addressForm, forget.open),
      route('get',  '/forgot',      undefined,   forget.show),
      route('post', '/forgot',      addressForm, forget.submit),
      route('get',  '/forgot-sent', undefined,   forget.showSent),
    ] : []),
    ...(dependencies.offers.code ? [
      route('post', '/send-code',   addressForm, code.send),
      route('get',  '/code',        undefined,   code.show),
      route('post', '/code',        codeForm,    code.submit),
      route('post', '/link',        linkForm,    code.submitLink),
    ] : []),
    route('get',  '/upstream', undefined,    upstream.finish),
    route('post', '/upstream', upstreamForm, upstream.submit),
    route('get',  '/enrol',       undefined, enrol.show),
    route('post', '/enrol/begin', ownForm,   enrol.begin),
    route('get',  '/enrol/app',   undefined, enrol.showApp),
    route('post', '/enrol/app',   enrolForm, enrol.confirm),
    route('post', '/enrol/later', ownForm,   enrol.putOff),
    route('get',  '/second-factor',               undefined,        second.choose),
    route('get',  '/second-factor/totp',          undefined,        second.show('totp')),
    route('post', '/second-factor/totp',          secondFactorForm, second.submit('totp')),
    route('get',  '/second-factor/recovery-code', undefined,        second.show('recovery-code')),
    route('post', '/second-factor/recovery-code', secondFactorForm, second.submit('recovery-code')),
    ...(dependencies.relyingParty ? [
      route('get',  '/second-factor/passkey',         undefined,         second.show('passkey')),
      route('post', '/second-factor/passkey/options', ownForm,           second.passkeyOptions),
      route('post', '/second-factor/passkey',         passkeyFactorForm, second.submitPasskey),
    ] : []),
    ...(dependencies.rules.countsMail ? [
      route('get',  '/second-factor/mail',        undefined,        second.show('mail')),
      route('post', '/second-factor/mail',        secondFactorForm, second.submit('mail')),
      route('post', '/second-factor/mail/send',   ownForm,          second.sendCode),
    ] : []),
    ...(passkey ? [
      route('post', '/passkey/options', ownForm,     passkey.options),
      route('post', '/passkey',         passkeyForm, passkey.submit),
    ] : []),
    route('post', '/continue', continueForm, account.submit),
    route('post', '/switch',   ownForm,      accountSwitch({ ...shared, signIn })),
    route('post', '/abort',    ownForm,      requestAbort(shared)),
    route('post', '/keep',     ownForm,      keep.submit),
    route('post', '/terms',    termsForm,    terms.submit),
    route('post', '/consent',  consentForm,  consent.submit),
  ]

  const router = new Router({ prefix: '/interaction/:uid' })
  router.use(async (ctx, next) => {
    ctx.set('Cache-Control', 'no-store')
    if (ctx.method === 'GET' && ctx.search) {
      // No page has a query. One with what a person typed would stay in the history, so the address loses it.
      ctx.status = 303
      ctx.redirect(ctx.path)
      return
    }
    await next()
  })
  for (const addTo of routes) addTo(router, shared.interactions)
  return router
}

type Route = (router: Router, interactions: Interactions) => void

/** Describes a route. Its handler gets the interaction of the path, and the fields of the form if the route has one. */
function route<Form extends z.ZodType>(
  method: 'get' | 'post',
  path: string,
  fields: Form | undefined,
  handle: Handler<z.output<Form>>,
): Route {
  return (router, interactions) => {
    if (fields === undefined) {
      router[method](path, async (ctx) => handle(ctx, await interactions.find(ctx), undefined as z.output<Form>))
      return
    }
    router[method](path, form, async (ctx) => {
      const interaction = await interactions.find(ctx)
      await handle(ctx, interaction, interactions.readForm(ctx, interaction, fields))
    })
  }
}

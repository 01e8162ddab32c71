import Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import { SignInEnded } from '../../accounts/acting.ts'
import { accountPath, accountSignInPath } from '../../oidc/clients/account-pages.ts'
import type { AccountNotice } from '../../views/pages/account.ts'
import { dependOn } from '../by-person.ts'
import { form, readForm } from '../forms.ts'
import { createNotes } from '../notes.ts'
import { accessForm, accessRemove } from './access-remove.ts'
import { accountDelete } from './account-delete.ts'
import { accountShow } from './account-show.ts'
import { activityShow } from './activity-show.ts'
import { createAccountApps } from './apps.ts'
import { dataExport } from './data-export.ts'
import type { AccountDependencies } from './dependencies.ts'
import { confirmPath, createConfirmNotes, emailChange, emailForm } from './email-change.ts'
import { createFrames } from './frame.ts'
import { type AccountHandler, accountForm } from './handler.ts'
import { identityLink, linkForm, unlinkForm } from './identity-link.ts'
import { passkeyAdd, passkeyAddForm } from './passkey-add.ts'
import { passkeyEdit, removeForm, renameForm } from './passkey-edit.ts'
import { passwordChange, passwordForm } from './password-change.ts'
import { profileEdit, profileForm } from './profile-edit.ts'
import { authenticatorForm, secondStep } from './second-step.ts'
import { sessionEnd, sessionForm } from './session-end.ts'
import { findSignedIn, isRecent, leadToSignIn, pathWithinAccount, type SignedIn } from './signed-in.ts'

/** Serves the pages about a person's own account. */
export function accountRoutes(dependencies: AccountDependencies): Router {
  const isSecure = dependencies.issuer.startsWith('https:')
  const notices = createNotes<AccountNotice>({ isSecure })
  const frameOf = createFrames({ ...dependencies, notices })
  const apps = createAccountApps(dependencies)
  const shared = { ...dependencies, notices, frameOf, apps }
  const profile = profileEdit({ ...shared, refusedProfiles: createNotes({ isSecure }) })
  const confirmNotes = createConfirmNotes({ isSecure })
  const linked = identityLink(shared)
  const second = secondStep({
    ...shared,
    envelope: dependencies.storage.envelope,
    authenticatorNotes: createNotes({ isSecure }),
    isOn: dependencies.rules.mode !== 'off' || dependencies.rules.groups.length > 0,
  })
  const session = sessionEnd({ ...shared, linked, second })
  const access = accessRemove(shared)
  const deletion = accountDelete({
    ...shared,
    deletedNotes: createNotes({ isSecure, acrossSignIns: true }),
    graceSeconds: dependencies.deletionGraceSeconds,
  })
  const { relyingParty: rp } = dependencies
  const newPasskey = rp && passkeyAdd({ ...shared, rp, addNotes: createNotes({ isSecure }) })
  const onePasskey = passkeyEdit(shared)
  const password = passwordChange({ ...dependencies, passwordNotes: createNotes({ isSecure }) })
  const email = emailChange({ ...dependencies, emailNotes: createNotes({ isSecure }) })
  // biome-ignore format: it is a table
  const routes: readonly Route[] = [
    route('get',  '/',                    {}, accountShow(shared)),
    route('get',  '/profile',             {}, profile.show),
    route('post', '/profile',             { form: profileForm }, profile.submit),
    route('get',  '/security',            {}, session.list),
    route('post', '/sessions/end',        { form: sessionForm, page: '/security' }, session.submit),
    route('post', '/sessions/end-others', { form: accountForm, page: '/security' }, session.submitOthers),
    ...(newPasskey ? [
      route('get',  '/passkeys/add',     { isRecent: true }, newPasskey.show),
      route('post', '/passkeys/add',     { form: passkeyAddForm, isRecent: true }, newPasskey.submit),
      route('post', '/passkeys/options', { form: accountForm, isRecent: true, page: '/passkeys/add' }, newPasskey.options),
      route('get',  '/passkeys/edit',    { isRecent: true, page: '/security' }, onePasskey.show),
      route('post', '/passkeys/rename',  { form: renameForm, isRecent: true, page: '/security' }, onePasskey.rename),
      route('post', '/passkeys/remove',  { form: removeForm, isRecent: true, page: '/security' }, onePasskey.remove),
    ] : []),
    route('post', '/authenticator/begin',  { form: accountForm, isRecent: true, page: '/security' }, second.begin),
    route('get',  '/authenticator',        { isRecent: true, page: '/security' }, second.show),
    route('post', '/authenticator',        { form: authenticatorForm, isRecent: true }, second.confirm),
    route('post', '/authenticator/remove', { form: accountForm, isRecent: true, page: '/security' }, second.remove),
    route('post', '/recovery-codes',       { form: accountForm, isRecent: true, page: '/security' }, second.renewCodes),
    route('post', '/devices/forget',       { form: accountForm, isRecent: true, page: '/security' }, second.forgetDevices),
    route('post', '/linked/add',          { form: linkForm, isRecent: true, page: '/security' }, linked.begin),
    route('get',  '/linked/finish',       { page: '/security' }, linked.finish),
    route('post', '/linked/remove',       { form: unlinkForm, isRecent: true, page: '/security' }, linked.remove),
    route('get',  '/apps',                {}, access.list),
    route('get',  '/apps/remove',         { page: '/apps' }, access.confirm),
    route('post', '/apps/remove',         { form: accessForm, page: '/apps' }, access.submit),
    route('get',  '/activity',            {}, activityShow(shared)),
    route('get',  '/data',                {}, deletion.offer),
    route('post', '/data/export',         { form: accountForm, isRecent: true, page: '/data' }, dataExport(dependencies)),
    route('get',  '/delete',              { isRecent: true }, deletion.confirm),
    route('post', '/delete',              { form: accountForm, isRecent: true }, deletion.submit),
    ...(dependencies.allowedWays.passwords ? [
      route('get',  '/password',     {}, password.show),
      route('post', '/password',     { form: passwordForm }, password.submit),
    ] : []),
    route('get',  '/email',        { isRecent: true }, email.show),
    route('post', '/email',        { form: emailForm, isRecent: true }, email.request),
    route('post', '/email/resend', { form: accountForm, page: '/email' }, email.sendAgain),
    route('post', '/email/cancel', { form: accountForm, page: '/email' }, email.cancel),
    route('post', '/email/verify', { form: accountForm, page: '/email' }, email.verify),
  ]

  const router = new Router({ prefix: accountPath })
  router.use(async (ctx, next) => {
    ctx.set('Cache-Control', 'no-store')
    await next()
  })
  // The code in this answer is never redeemed: the person is signed in at this server, where these pages are.
  router.get('/callback', (ctx) => {
    ctx.status = 303
    // A person who cancels the sign-in would come to the same page again.
    ctx.redirect(ctx.query['error'] === undefined ? pathWithinAccount(ctx.query['state']) : '/')
  })
  router.get('/deleted', deletion.done)
  router.get('/email/confirm', (ctx) => {
    const opened = confirmNotes.take(ctx, confirmPath)
    ctx.status = 303
    ctx.redirect(opened ? `/link/${encodeURIComponent(opened.token)}` : `${accountPath}/email`)
  })
  router.get('/switch', (ctx) => {
    ctx.status = 303
    ctx.redirect(accountSignInPath(dependencies.issuer, { returnTo: accountPath, prompt: 'select_account' }))
  })
  // Nobody is signed in where this form is, so it has no token of a session. It only chooses among a person's own sessions.
  router.post('/choose', form, async (ctx) => {
    dependencies.csrf.assertOwnSite(ctx)
    await dependencies.browserAccounts.open(ctx, readForm(ctx, chosenForm).account)
    ctx.status = 303
    ctx.redirect(accountPath)
  })
  for (const addTo of routes) addTo(router, dependencies)
  return router
}

const chosenForm = z.object({ account: z.string().max(200) })

type Route = (router: Router, dependencies: AccountDependencies) => void

/** Whether a sign-in must be recent, and the page that a form belongs to. */
type Needs<Form extends z.ZodType> = { isRecent?: true; form?: Form; page?: string }

/** Describes a route. Its handler gets the signed-in person; a visitor who is not signed in is led to the sign-in page and back. */
function route<Form extends typeof accountForm>(
  method: 'get' | 'post',
  path: string,
  needs: Needs<Form>,
  handle: AccountHandler<z.output<Form>>,
): Route {
  const { form: fields, page = path, isRecent: mustBeRecent = false } = needs
  return (router, dependencies) => {
    const { issuer, csrf } = dependencies
    async function withPerson(ctx: Context, answer: (person: SignedIn) => Promise<void>): Promise<void> {
      const person = await findSignedIn(ctx, dependencies)
      if (person && (!mustBeRecent || isRecent(person))) {
        const { account, sessionUid } = person
        dependOn(ctx, { accountId: account.id, epoch: account.epoch, sessionUid })
        try {
          return await answer(person)
        } catch (error) {
          if (!(error instanceof SignInEnded)) throw error
        }
      }
      const returnTo = page === '/' ? accountPath : `${accountPath}${page}`
      leadToSignIn(ctx, { issuer, returnTo, mustBeRecent })
    }
    if (method === 'get' || fields === undefined) {
      router.get(path, (ctx) => withPerson(ctx, (person) => handle(ctx, person, undefined as never)))
      return
    }
    router.post(path, form, (ctx) =>
      withPerson(ctx, async (person) => {
        csrf.assertOfSession(ctx, person.sessionUid, readForm(ctx, accountForm).csrf)
        await handle(ctx, person, readForm(ctx, fields))
      }),
    )
  }
}

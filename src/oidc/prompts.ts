import { decodeJwt } from 'jose'
import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import { accountPagesId } from '../stores/clients/built-in.ts'
import type { PairwiseSubject } from './pairwise.ts'
import { requiredScopes } from './permissions/client-scopes.ts'
import { current } from './request/work.ts'

export type Prompts = interactionPolicy.DefaultPolicy

/** The prompt for a person whose account is to be deleted. Nothing is issued before they keep it. */
export const keepAccount = 'keep_account'

/** The prompt for a person who has to replace their password. */
export const replacePassword = 'replace_password'

/** The age, in seconds, up to which a sign-in is enough for a change that matters. */
export const recentSignInSeconds = 600

/** The prompt for a person who has not accepted the terms of this version. */
export const acceptTerms = 'accept_terms'

/** The reason of the login prompt for a person whose sign-in ended before they returned from the form. */
export const signInEnded = 'sign_in_ended'

/** Creates the prompts that come before the answer to an authorization request, and the conditions of each. */
export function policy(
  pairwiseSubject: PairwiseSubject,
  {
    canSignUp,
    termsVersion,
    stepUp,
  }: { canSignUp: boolean; termsVersion: string | undefined; stepUp: interactionPolicy.Check },
): Prompts {
  const prompts = interactionPolicy.base()
  prompts.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0)
  // Initiating User Registration 1.0 §4. Before the others, since it decides which account the rest is about.
  if (canSignUp) prompts.add(new interactionPolicy.Prompt({ name: 'create', requestable: true }), 0)
  requireHintedPerson(prompts, pairwiseSubject)
  explainEndedSignIns(prompts)
  prompts.get('login')?.checks.add(stepUp)
  askToKeepAccount(prompts)
  requireAnotherPassword(prompts)
  if (termsVersion !== undefined) askToAcceptTerms(prompts, termsVersion)
  askAgainForRequiredScopes(prompts)
  return prompts
}

/**
 * Requires the person who signs in to be the subject of `id_token_hint`. The answer MUST NOT be about a different
 * person (OpenID Connect Core §3.1.2.2). The engine compares the two only when a request arrives, not after a page was
 * shown, where anybody could have signed in.
 */
function requireHintedPerson(prompts: Prompts, pairwiseSubject: PairwiseSubject): void {
  const checks = prompts.get('login')?.checks
  const arriving = checks?.get('id_token_hint')
  if (!checks || !arriving) throw new Error('The engine has no check of id_token_hint.')
  const { reason, description, error = 'login_required' } = arriving
  const isSomebodyElse = async ({ oidc }: KoaContextWithOIDC) => {
    const hint = oidc.params?.['id_token_hint']
    if (typeof hint !== 'string') return false
    const { session, client } = oidc
    if (!session?.accountId || !client) return true
    const isPairwise = client.subjectType === 'pairwise'
    const sub = isPairwise ? await pairwiseSubject(session.accountId, client) : session.accountId
    return decodeJwt(hint).sub !== sub // it was verified when the request arrived
  }
  checks.remove(reason)
  checks.add(new interactionPolicy.Check(reason, description, error, isSomebodyElse))
}

/** Asks a person whose account is to be deleted whether they keep it, after they signed in and before anything else. */
function askToKeepAccount(prompts: Prompts): void {
  const isToBeDeleted = (ctx: KoaContextWithOIDC) => signedInAccount(ctx)?.deletionAt !== undefined
  const check = new interactionPolicy.Check('deletion_scheduled', 'the account is to be deleted', isToBeDeleted)
  addBeforeConsent(prompts, keepAccount, check)
}

/**
 * Requires a person to replace their password, however they signed in and whenever. A sign-in that is not recent comes
 * first: the new password is chosen without the old one, so a browser that somebody left open must not be enough.
 */
function requireAnotherPassword(prompts: Prompts): void {
  const description = 'the password has to be replaced'
  const isRequired = (ctx: KoaContextWithOIDC) => signedInAccount(ctx)?.mustChangePassword === true
  const isOld = ({ oidc }: KoaContextWithOIDC) =>
    Date.now() / 1000 - Number(oidc.session?.authTime() ?? 0) >= recentSignInSeconds
  const isRequiredLater = (ctx: KoaContextWithOIDC) => isRequired(ctx) && isOld(ctx)
  const again = new interactionPolicy.Check('password_required_later', description, 'login_required', isRequiredLater)
  prompts.get('login')?.checks.add(again)
  addBeforeConsent(prompts, replacePassword, new interactionPolicy.Check('password_required', description, isRequired))
}

/**
 * Asks a person to accept the terms of this version. The pages about their own account do not: a person who declines can
 * still take their data with them, and delete the account.
 */
function askToAcceptTerms(prompts: Prompts, version: string): void {
  const isOpen = (ctx: KoaContextWithOIDC) => {
    const account = signedInAccount(ctx)
    const isOwnPages = ctx.oidc.client?.clientId === accountPagesId
    return account !== undefined && account.terms?.version !== version && !isOwnPages
  }
  const check = new interactionPolicy.Check('terms_not_accepted', 'the terms have to be accepted', isOpen)
  addBeforeConsent(prompts, acceptTerms, check)
}

const signedInAccount = ({ oidc }: KoaContextWithOIDC) => {
  const { accountId } = oidc.session ?? {}
  return accountId === undefined ? undefined : current()?.reads.accounts.get(accountId)
}

/** Adds a prompt between signing in and consenting, in the order of the calls. No app can request it. */
function addBeforeConsent(prompts: Prompts, name: string, check: interactionPolicy.Check): void {
  const position = prompts.findIndex((prompt) => prompt.name === 'consent')
  prompts.add(new interactionPolicy.Prompt({ name, requestable: false }, check), position)
}

/** Makes the sign-in page say why the sign-in that was just made does not count. */
function explainEndedSignIns(prompts: Prompts): void {
  const description = 'the sign-in has ended'
  const hasEnded = ({ oidc }: KoaContextWithOIDC) =>
    current()?.reads.hasSignInEnded === true && !oidc.session?.accountId
  prompts.get('login')?.checks.add(new interactionPolicy.Check(signInEnded, description, 'login_required', hasEnded))
}

/**
 * Asks again for scopes that the person denied and the client has required since. A denial is remembered, so otherwise
 * the person would be locked out of an app that cannot work without them.
 */
function askAgainForRequiredScopes(prompts: Prompts): void {
  const denied = ({ oidc }: KoaContextWithOIDC) => {
    const rejected = oidc.grant?.getRejectedOIDCScope().split(' ') ?? []
    return requiredScopes(oidc.client ?? {}).filter(
      (name) => rejected.includes(name) && oidc.requestParamOIDCScopes.has(name),
    )
  }
  const description = 'required scopes not granted'
  const check = new interactionPolicy.Check(
    'required_scopes_denied',
    description,
    'consent_required',
    (ctx) => denied(ctx).length > 0,
    (ctx) => (denied(ctx).length > 0 ? { deniedRequiredScopes: denied(ctx) } : {}),
  )
  prompts.get('consent')?.checks.add(check)
}

const consentReasons = ['op_scopes_missing', 'op_claims_missing', 'rs_scopes_missing']

/** Returns whether a page is needed for another reason than undecided permissions. */
export async function needsOtherPrompt(prompts: Prompts, ctx: KoaContextWithOIDC): Promise<boolean> {
  for (const { checks } of prompts) {
    for (const { reason, check } of checks) {
      if (!consentReasons.includes(reason) && (await check(ctx))) return true
    }
  }
  return false
}

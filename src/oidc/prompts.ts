import { decodeJwt } from 'jose'
import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import type { PairwiseSubject } from './pairwise.ts'
import { requiredScopes } from './permissions/client-scopes.ts'
import { current } from './request/work.ts'

export type Prompts = interactionPolicy.DefaultPolicy

/** The reason of a login prompt for somebody whose sign-in was ended before they came back from it. */
export const signInEnded = 'sign_in_ended'

/** What a person is asked for before an authorization request is answered, and when. */
export function policy(pairwiseSubject: PairwiseSubject): Prompts {
  const prompts = interactionPolicy.base()
  prompts.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0)
  expectTheHintedPerson(prompts, pairwiseSubject)
  tellOfEndedSignIns(prompts)
  askAgainForRequiredScopes(prompts)
  return prompts
}

/**
 * The engine looks at `id_token_hint` when a request arrives, and no more once a page was shown: then anybody
 * who signs in would do. The answer MUST NOT be about a different person (OpenID Connect Core §3.1.2.2).
 */
function expectTheHintedPerson(prompts: Prompts, pairwiseSubject: PairwiseSubject): void {
  const checks = prompts.get('login')?.checks
  const arriving = checks?.get('id_token_hint')
  if (!checks || !arriving) throw new Error('The engine has no check of id_token_hint any more.')
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

/** Has the sign-in page say why the sign-in that was just made does not count. */
function tellOfEndedSignIns(prompts: Prompts): void {
  const description = 'the sign-in has ended meanwhile'
  const hasEnded = ({ oidc }: KoaContextWithOIDC) =>
    current()?.reads.hasSignInEnded === true && !oidc.session?.accountId
  prompts.get('login')?.checks.add(new interactionPolicy.Check(signInEnded, description, 'login_required', hasEnded))
}

/**
 * Asks again for what was denied and is required by now. A denial is remembered, and the person would otherwise be locked
 * out of an app that cannot do without.
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

const aboutUndecided = ['op_scopes_missing', 'op_claims_missing', 'rs_scopes_missing']

/** Whether a page is going to be shown for another reason than that something was not consented to yet. */
export async function asksBesides(prompts: Prompts, ctx: KoaContextWithOIDC): Promise<boolean> {
  for (const { checks } of prompts) {
    for (const { reason, check } of checks) {
      if (!aboutUndecided.includes(reason) && (await check(ctx))) return true
    }
  }
  return false
}

import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Db } from '../../database/schema.ts'
import { accountPath, accountSignInPath } from '../../oidc/clients/account-pages.ts'
import { recentSignInSeconds } from '../../oidc/prompts.ts'
import { addWishes } from '../../oidc/request/reader.ts'
import { current } from '../../oidc/request/work.ts'
import * as accounts from '../../stores/people/accounts.ts'

/** The person who is signed in at this browser. */
export type SignedIn = {
  account: accounts.Account
  sessionUid: string
  signedInAt: Date
  /** Whether the sign-in stays when the browser is closed. Otherwise the computer is somebody else's. */
  isLasting: boolean
}

/** Returns the person who is signed in at the browser of a request. */
export async function findSignedIn(
  ctx: Context,
  { provider, db }: { provider: Provider; db: Db },
): Promise<SignedIn | undefined> {
  const session = await provider.Session.get(ctx as unknown as KoaContextWithOIDC)
  const { accountId, uid } = session
  if (!accountId || !uid) return undefined
  const account = current()?.reads.accounts.get(accountId) ?? (await accounts.findById(db, accountId))
  if (!account || account.isDisabled || account.deletionAt || account.mustChangePassword) return undefined
  addWishes(ctx, { locale: account.profile['locale'] })
  const { transient = false } = session as { transient?: boolean }
  const signedInAt = new Date(Number(session.authTime() ?? 0) * 1000)
  return { account, sessionUid: uid, signedInAt, isLasting: !transient }
}

/** Returns whether a sign-in is recent enough for a change that matters. */
export function isRecent({ signedInAt }: SignedIn): boolean {
  return Date.now() - signedInAt.getTime() < recentSignInSeconds * 1000
}

/** Leads a person to the sign-in page, and back to a page about their account. */
export function leadToSignIn(
  ctx: Context,
  { issuer, returnTo, mustBeRecent }: { issuer: string; returnTo: string; mustBeRecent: boolean },
): void {
  ctx.status = 303
  ctx.redirect(accountSignInPath(issuer, { returnTo, ...(mustBeRecent && { maxAgeSeconds: recentSignInSeconds }) }))
}

/** Returns a path of the account pages as it is, and that of their first page for anything else. */
export function pathWithinAccount(text: unknown): string {
  return typeof text === 'string' && /^\/account(\/[a-z0-9/_-]*)?$/i.test(text) ? text : accountPath
}

import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { type Client, errors, type KoaContextWithOIDC, type Session } from 'oidc-provider'
import type { SignedInApp } from '../../accounts/sessions.ts'
import { current } from '../../oidc/request/work.ts'

/**
 * Ends the session of this browser, as the engine does when the person confirms it. Apps with a back-channel logout URI
 * are notified, and the tokens issued in the session are revoked, except for offline access.
 */
export async function endSession(
  ctx: Context,
  session: Session,
  { provider, isSecure }: { provider: Provider; isSecure: boolean },
): Promise<void> {
  const work = current()
  if (work) work.endpoint = 'logout'
  const authorizations = Object.entries(session.authorizations ?? {})
  const apps = authorizations.map(([clientId, { sid = '' }]) => ({ clientId, sid }))
  await notifyApps(ctx, { provider, accountId: session.accountId ?? '', apps })
  for (const [, { grantId, persistsLogout }] of authorizations) {
    if (grantId && !persistsLogout) await provider.AccessToken.revokeByGrantId(grantId)
  }
  await session.destroy()
  forgetSession(ctx, { provider, isSecure })
  provider.emit('end_session.success', ctx as unknown as KoaContextWithOIDC)
}

/** Removes the cookie of the session from the browser. */
export function forgetSession(ctx: Context, { provider, isSecure }: { provider: Provider; isSecure: boolean }): void {
  const cookie = { signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true } as const
  ctx.cookies.set(provider.cookieName('session'), null, cookie)
}

/** Notifies those apps of the end of a session that have a back-channel logout URI (Back-Channel Logout 1.0 §2.5). */
export async function notifyApps(
  ctx: Context,
  { provider, accountId, apps }: { provider: Provider; accountId: string; apps: readonly SignedInApp[] },
): Promise<void> {
  await Promise.all(apps.map((app) => tell(ctx, { provider, accountId, app })))
}

/** A method of a client that `@types/oidc-provider` lacks. */
type Listening = { backchannelLogout(accountId: string, sid: string): Promise<void> }

async function tell(
  ctx: Context,
  { provider, accountId, app: { clientId, sid } }: { provider: Provider; accountId: string; app: SignedInApp },
): Promise<void> {
  const client = (await find(provider, clientId)) as (Client & Listening) | undefined
  if (!client?.backchannelLogoutUri) return
  const engine = ctx as unknown as KoaContextWithOIDC
  try {
    await client.backchannelLogout(accountId, sid)
    provider.emit('backchannel.success', engine, client, accountId, sid)
  } catch (error) {
    provider.emit('backchannel.error', engine, error as Error, client, accountId, sid)
  }
}

/** Returns the client to notify. A client that has become unusable is not notified. */
async function find(provider: Provider, id: string): Promise<Client | undefined> {
  try {
    return await provider.Client.find(id)
  } catch (error) {
    if (error instanceof errors.InvalidClient) return undefined
    throw error
  }
}

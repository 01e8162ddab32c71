import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { type Client, errors, type KoaContextWithOIDC, type Session } from 'oidc-provider'
import { current } from '../../oidc/request/work.ts'

/**
 * Ends the session of this browser, as the engine does when the person confirms it. Apps with a back-channel logout URI
 * are notified (Back-Channel Logout 1.0 §2.5), and the tokens issued in the session are revoked, except for offline
 * access.
 */
export async function endSession(
  ctx: Context,
  session: Session,
  { provider, isSecure }: { provider: Provider; isSecure: boolean },
): Promise<void> {
  const work = current()
  if (work) work.endpoint = 'logout'
  const authorizations = Object.entries(session.authorizations ?? {})
  await Promise.all(authorizations.map(([clientId, { sid }]) => tell(ctx, session, { provider, clientId, sid })))
  for (const [, { grantId, persistsLogout }] of authorizations) {
    if (grantId && !persistsLogout) await provider.AccessToken.revokeByGrantId(grantId)
  }
  await session.destroy()
  const cookie = { signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true } as const
  ctx.cookies.set(provider.cookieName('session'), null, cookie)
  provider.emit('end_session.success', ctx as unknown as KoaContextWithOIDC)
}

/** A method of a client that `@types/oidc-provider` lacks. */
type Listening = { backchannelLogout(accountId: string, sid: string): Promise<void> }

async function tell(
  ctx: Context,
  { accountId = '' }: Session,
  { provider, clientId, sid = '' }: { provider: Provider; clientId: string; sid: string | undefined },
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

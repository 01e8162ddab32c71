import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import * as accountSessions from '../../accounts/sessions.ts'
import { longestLogoutAgeSeconds, type UpstreamLogout } from '../../authentication/federation/logout-tokens.ts'
import { sha256 } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import * as identities from '../../stores/people/identities.ts'
import * as replays from '../../stores/protocol/replays.ts'
import * as sessions from '../../stores/protocol/sessions.ts'
import { notifyApps } from '../engine/session-end.ts'
import { readForm } from '../forms.ts'
import type { Upstreams } from './upstreams.ts'

const logoutForm = z.object({ logout_token: z.string().max(16_384).default('') })

/**
 * Creates the handler of the end of a sign-in at an upstream provider (OpenID Connect Back-Channel Logout 1.0 §2.5). It ends
 * the sessions here that rest on that sign-in, and no other.
 */
export function backchannelLogout({
  db,
  provider,
  act,
  upstreams,
  log,
}: {
  db: Db
  provider: Provider
  act: Acting
  upstreams: Upstreams
  log: Logger
}): (ctx: Context) => Promise<void> {
  return async (ctx) => {
    const id = String(ctx['params'].provider)
    const { logout_token: token } = readForm(ctx, logoutForm)
    const logout = await verified(id, token)
    if (!logout) {
      ctx.status = 400
      ctx.body = { error: 'invalid_request', error_description: 'the logout token is invalid or was used' }
      return
    }
    const upstream = { provider: id, ...(logout.sid !== undefined && { sid: logout.sid }) }
    for (const accountId of await accountsOf(id, logout)) {
      const ending = { accountId, upstream }
      const apps = await act({ actor: 'system' }, (context) => accountSessions.end(context, ending))
      if (apps !== 'no-session') await notifyApps(ctx, { provider, accountId, apps })
    }
    ctx.status = 200
    ctx.body = ''
  }

  async function verified(id: string, token: string): Promise<UpstreamLogout | undefined> {
    const upstream = await upstreams.find(id)
    if (!upstream || token === '') return undefined
    try {
      const logout = await upstreams.verifyLogout(upstream, token)
      const expiresAt = new Date(Date.now() + 2 * longestLogoutAgeSeconds * 1000)
      const isFirst = await replays.redeem(db, sha256(`upstream logout\0${id}\0${logout.jti}`), expiresAt)
      return isFirst ? logout : undefined
    } catch (error) {
      log.warn({ err: error, provider: id }, 'a logout token of an upstream provider was rejected')
      return undefined
    }
  }

  async function accountsOf(id: string, { issuer, subject, sid }: UpstreamLogout): Promise<string[]> {
    if (subject === undefined) return sessions.accountsOfUpstream(db, { provider: id, sid })
    const found = await identities.find(db, { providerId: id, issuer, subject })
    return found ? [found.accountId] : []
  }
}

import type { Context } from 'koa'
import type { Logger } from 'pino'
import { type Upstream, upstreamOf } from '../../authentication/federation/settings.ts'
import { callbackOf, type Sent, type UpstreamClient } from '../../authentication/federation/upstream-client.ts'
import type { Config } from '../../config/index.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import * as stored from '../../stores/clients/upstream-providers.ts'
import * as upstreamRequests from '../../stores/people/upstream-requests.ts'

/** The providers that people may sign in with. */
export type Upstreams = Pick<UpstreamClient, 'verify' | 'verifyLogout'> & {
  /** Lists the providers that are not disabled. */
  list(): Promise<Upstream[]>
  /** Finds one that is not disabled. */
  find(id: string, db?: Db): Promise<Upstream | undefined>
  /** Sends a browser to a provider. Returns `false` if the provider cannot be reached. */
  begin(
    ctx: Context,
    upstream: Upstream,
    request: {
      browserHash: Buffer
      purpose: upstreamRequests.Purpose
      loginHint?: string | undefined
      isAgain?: boolean
    },
  ): Promise<boolean>
}

/** Reads the providers, and sends browsers to them. */
export function createUpstreams({
  config: { ISSUER: issuer },
  database: { db },
  storage: { envelope },
  upstreamClient: client,
  log,
}: {
  config: Pick<Config, 'ISSUER'>
  database: { db: Db }
  storage: { envelope: Envelope }
  upstreamClient: UpstreamClient
  log: Logger
}): Upstreams {
  return {
    verify: client.verify,
    verifyLogout: client.verifyLogout,

    async list() {
      const all = await stored.list(db, envelope)
      return all.filter(({ isDisabled }) => !isDisabled).map(upstreamOf)
    },

    async find(id, on = db) {
      const found = await stored.find(on, envelope, id)
      return found && !found.isDisabled ? upstreamOf(found) : undefined
    },

    async begin(ctx, upstream, { browserHash, purpose, loginHint, isAgain = false }) {
      const redirectUri = callbackOf(issuer, upstream.id)
      let begun: { url: URL; sent: Sent }
      try {
        begun = await client.begin(upstream, { redirectUri, loginHint, isAgain })
      } catch (error) {
        const requestId = ctx.state['requestId']
        log.warn({ err: error, provider: upstream.id, requestId }, 'an upstream provider could not be reached')
        return false
      }
      const { url, sent } = begun
      const data = { sent }
      await upstreamRequests.create(db, envelope, {
        state: sent.state,
        providerId: upstream.id,
        browserHash,
        purpose,
        data,
      })
      ctx.status = 303
      ctx.set('Cache-Control', 'no-store')
      ctx.redirect(url.href)
      return true
    },
  }
}

import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import * as accountIdentities from '../../accounts/identities.ts'
import type { AllowedWays } from '../../accounts/ways-in.ts'
import { nameOf } from '../../authentication/federation/settings.ts'
import type { Db } from '../../database/schema.ts'
import * as identities from '../../stores/people/identities.ts'
import * as upstreamRequests from '../../stores/people/upstream-requests.ts'
import type { AccountNotice } from '../../views/pages/account.ts'
import type { LinkableProvider, LinkedIdentity } from '../../views/pages/account-security.ts'
import { byPerson } from '../by-person.ts'
import { askerOf } from '../interactions/asker.ts'
import type { UpstreamAnswer } from '../interactions/upstream-sign-in.ts'
import type { Notes } from '../notes.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import { leadTo } from './frame.ts'
import { type AccountHandler, accountForm } from './handler.ts'

export const linkForm = accountForm.extend({ provider: z.string().max(64) })
export const unlinkForm = accountForm.extend({
  provider: z.string().max(64),
  issuer: z.string().max(2_048),
  subject: z.string().max(255),
})

const path = '/account/security'

export type IdentityLink = {
  /** Returns the accounts elsewhere that are linked to an account, and the providers that could be. */
  listOf(accountId: string): Promise<{ linked: LinkedIdentity[]; linkable: LinkableProvider[] }>
  /** Sends the browser to a provider, where the person proves the other account. */
  begin: AccountHandler<z.output<typeof linkForm>>
  /** Links the account that the person proved there. */
  finish: AccountHandler<unknown>
  remove: AccountHandler<z.output<typeof unlinkForm>>
}

/** Creates the handlers that link accounts elsewhere to a person's account. */
export function identityLink({
  db,
  act,
  notices,
  upstreams,
  allowedWays,
}: {
  db: Db
  act: Acting
  notices: Notes<AccountNotice>
  upstreams: Upstreams
  allowedWays: AllowedWays
}): IdentityLink {
  return {
    async listOf(accountId) {
      const [own, all] = await Promise.all([identities.listByAccount(db, accountId), upstreams.list()])
      const linked = own.map(({ providerId, issuer, subject, claims, lastUsedAt }) => {
        const provider = all.find(({ id }) => id === providerId)
        const about = claims['email'] ?? claims['preferred_username']
        return {
          ...{ provider: providerId, issuer, subject, lastUsedAt },
          name: provider ? nameOf(provider) : providerId,
          about: typeof about === 'string' ? about : undefined,
        }
      })
      const linkable = all
        .filter(({ id, settings }) => settings.shows_button && !own.some(({ providerId }) => providerId === id))
        .map((provider) => ({ id: provider.id, name: nameOf(provider) }))
      return { linked, linkable }
    },

    async begin(ctx, { account, sessionUid }, { provider: id }) {
      const upstream = await upstreams.find(id)
      const isBegun =
        upstream &&
        (await upstreams.begin(ctx, upstream, {
          browserHash: askerOf({ uid: sessionUid }),
          purpose: { account: { id: account.id, epoch: account.epoch, sessionUid } },
          isAgain: true,
        }))
      if (!isBegun) leadTo(ctx, notices, path, { code: 'identity-failed' })
    },

    async finish(ctx, { account, sessionUid }) {
      const browserHash = askerOf({ uid: sessionUid })
      const outcome = await act(byPerson(ctx), async (context) => {
        const { tx, envelope } = context
        const finished = await upstreamRequests.finish<UpstreamAnswer | { sent: unknown }>(tx, envelope, browserHash)
        if (finished?.purpose.account?.id !== account.id || !('verified' in finished.data)) return 'failed'
        const { providerId, verified } = finished.data
        const upstream = await upstreams.find(providerId, tx)
        return upstream ? accountIdentities.link(context, account.id, { upstream, verified, by: 'owner' }) : 'failed'
      })
      const code =
        outcome === 'linked' ? 'identity-linked' : outcome === 'taken' ? 'identity-taken' : ('identity-failed' as const)
      leadTo(ctx, notices, path, { code })
    },

    async remove(ctx, { account }, { provider: providerId, issuer, subject }) {
      const upstream = await upstreams.find(providerId)
      const shown = upstream ? nameOf(upstream) : providerId
      const name = { providerId, issuer, subject }
      const outcome = await act(byPerson(ctx), (context) =>
        accountIdentities.unlink(context, account.id, { name, shown, allowed: allowedWays }),
      )
      const code = outcome === 'last' ? 'identity-last' : 'identity-unlinked'
      leadTo(ctx, notices, path, { code })
    },
  }
}

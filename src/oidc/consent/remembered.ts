import { isDeepStrictEqual } from 'node:util'
import type { Grant, KoaContextWithOIDC } from 'oidc-provider'
import type { Config } from '../../config/index.ts'
import * as grants from '../../stores/protocol/grants.ts'
import { identityOf } from '../clients/shown.ts'
import { lifetimes } from '../lifetimes.ts'
import { assertStillAllowed } from '../parameters/resumed.ts'
import type { ResourceServers } from '../permissions/resource-servers.ts'
import { needsOtherPrompt, type Prompts } from '../prompts.ts'
import { isFirstParty } from '../registration/first-party.ts'
import type { Storage } from '../request/storage.ts'
import { current } from '../request/work.ts'
import { consented, type GrantPayload, type Permissions, undecided } from './decision.ts'
import { skip } from './record.ts'

export type GrantDependencies = {
  config: Config
  storage: Storage
  prompts: Prompts
  resourceServers: Pick<ResourceServers, 'registrationsOf'>
}

/**
 * Returns the remembered grant of this account to this client. It is not used if the client has changed in what the
 * person saw of it: the consent page is then shown again. A first-party client is granted what was not decided yet.
 */
export async function loadGrant(dependencies: GrantDependencies, ctx: KoaContextWithOIDC): Promise<Grant | undefined> {
  const { config, storage } = dependencies
  const { client, session } = ctx.oidc
  assertStillAllowed(ctx)
  if (!client || !session?.accountId) return undefined
  const pair = { accountId: session.accountId, clientId: client.clientId }
  const stored = await storage.findGrant(pair)
  if (isFirstParty(client)) {
    const granted = await grantWithoutAsking(dependencies, ctx, { pair, stored })
    if (granted) return toGrant(ctx, granted)
  }
  if (!stored || (!isFirstParty(client) && !isAsSeen(ctx, client, stored))) return undefined

  const now = Math.floor(Date.now() / 1000)
  const { grant: lifetime, grantRenewal } = lifetimes(config)
  if (stored.expiresAtSeconds - now < grantRenewal) await grants.extend(storage.db, stored.id, now + lifetime)
  return toGrant(ctx, isFirstParty(client) ? stored : { id: stored.id, payload: consented(stored) })
}

function toGrant({ oidc: { provider } }: KoaContextWithOIDC, { id, payload }: { id: string; payload: object }): Grant {
  return new provider.Grant({ ...payload, jti: id } as never)
}

/** Returns whether the client still is as the person saw it when they decided, which may have been a moment ago. */
function isAsSeen(
  { oidc: { result, params } }: KoaContextWithOIDC,
  client: Parameters<typeof identityOf>[0],
  stored: grants.StoredGrant,
): boolean {
  if (result?.consent?.grantId === stored.id) return true
  const shown = identityOf(client, String(params?.['redirect_uri'] ?? ''))
  // A device has no redirect URI, so the host that the person returns to cannot have changed.
  const isElsewhere = shown.host !== '' && stored.shown['host'] !== shown.host
  // All names count, not only the one that the person saw: they may read the page in another language next time.
  const isSameName = isDeepStrictEqual([stored.shown['name'], stored.shown['names']], [shown.name, shown.names])
  return isSameName && !isElsewhere
}

/** Grants what was not decided yet, unless a page will be shown that asks for it or may change who is signed in. */
async function grantWithoutAsking(
  { config, storage, prompts, resourceServers }: GrantDependencies,
  ctx: KoaContextWithOIDC,
  { pair, stored }: { pair: grants.Pair; stored: grants.StoredGrant | undefined },
): Promise<{ id: string; payload: GrantPayload } | undefined> {
  const requested = requestedOf(ctx)
  if (!undecided(stored?.payload as GrantPayload | undefined, requested)) return undefined
  if (await needsOtherPrompt(prompts, ctx)) return undefined
  const { requestId, address } = current() ?? {}
  return skip(storage.db, {
    ...pair,
    requested,
    registrations: await resourceServers.registrationsOf(Object.keys(requested.resources)),
    lifetimeSeconds: lifetimes(config).grant,
    event: { requestId, address },
  })
}

// Facts about the sign-in rather than about the person, so nobody decides on them.
const undecidable = ['sub', 'sid', 'auth_time', 'acr', 'amr', 'iss']

/** Returns everything that an authorization request asks a person for. */
function requestedOf({ oidc }: KoaContextWithOIDC): Permissions {
  const resources = Object.entries(oidc.resourceServers ?? {}).map(([identifier, { scopes }]) => [
    identifier,
    [...oidc.requestParamScopes].filter((scope) => scopes.has(scope)),
  ])
  return {
    scopes: [...oidc.requestParamOIDCScopes],
    claims: [...oidc.requestParamClaims].filter((claim) => !undecidable.includes(claim)),
    resources: Object.fromEntries(resources),
  }
}

import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import type { Db } from '../../database/schema.ts'
import type { Language } from '../../languages/index.ts'
import { shownClient } from '../../oidc/clients/shown.ts'
import { type GrantPayload, type Permissions, permissionsOf } from '../../oidc/consent/decision.ts'
import { titleOf } from '../../oidc/consent/request.ts'
import type { ResourceServers } from '../../oidc/permissions/resource-servers.ts'
import { isFirstParty } from '../../oidc/registration/first-party.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import { isClaim, isOidcScope } from '../../oidc/scopes.ts'
import { accountPagesId } from '../../stores/clients/built-in.ts'
import * as grants from '../../stores/protocol/grants.ts'
import type { ShownApp, ShownPermissions } from '../../views/pages/account-apps.ts'
import type { ShownClient } from '../../views/shown-client.ts'

const most = 500 // apps of one person

/** The apps that have access to an account. */
export type AccountApps = {
  /** Returns them, the last used first. These pages themselves do not count. */
  of(accountId: string, language: Language): Promise<ShownApp[]>
  /** Returns the name of an app, as pages give it. */
  shown(clientId: string, language: Language, host?: string): Promise<{ client: ShownClient; isFirstParty: boolean }>
}

/** Creates the list of apps that have access to an account. */
export function createAccountApps({
  db,
  provider,
  storage,
  resourceServers,
}: {
  db: Db
  provider: Provider
  storage: Storage
  resourceServers: ResourceServers
}): AccountApps {
  async function shown(
    clientId: string,
    language: Language,
    host = '',
  ): Promise<{ client: ShownClient; isFirstParty: boolean }> {
    try {
      const client = await provider.Client.find(clientId)
      if (client) return { client: { ...shownClient(client, language), host }, isFirstParty: isFirstParty(client) }
    } catch (error) {
      if (!(error instanceof errors.InvalidClient)) throw error
    }
    // A client that may not be used now still has its grants.
    const stored = await storage.clients.find(clientId)
    const name = String(stored?.metadata['client_name'] ?? clientId)
    const isReviewed = stored?.isDynamic === false
    return { client: { name, host, isReviewed, logo: undefined, document: undefined }, isFirstParty: false }
  }

  async function worded({ scopes, claims, resources }: Permissions, language: Language): Promise<ShownPermissions> {
    const apis = Object.entries(resources).filter(([, names]) => names.length > 0)
    return {
      scopes: scopes.filter(isOidcScope).filter((name) => name !== 'openid'),
      claims: claims.filter(isClaim).filter((name) => name !== 'sub'),
      resources: await Promise.all(
        apis.map(async ([identifier, names]) => {
          const server = await resourceServers.find(identifier)
          return {
            name: server?.name ?? identifier,
            scopes: names.map((name) => titleOf(server?.scopes[name], language) || name),
          }
        }),
      ),
    }
  }

  return {
    shown,
    async of(accountId, language) {
      const found = await grants.list(db, { accountId, clientId: undefined, after: undefined, limit: most })
      const apps = await Promise.all(
        found
          .filter(({ clientId }) => clientId !== accountPagesId)
          .map(async ({ id, clientId, payload, shown: seen, createdAt, lastUsedAt }) => {
            const { granted, rejected } = permissionsOf(payload as GrantPayload)
            return {
              grantId: id,
              ...(await shown(clientId, language, String(seen['host'] ?? ''))),
              since: createdAt,
              lastUsedAt,
              granted: await worded(granted, language),
              denied: await worded(rejected, language),
            }
          }),
      )
      const usedMs = ({ lastUsedAt, since }: ShownApp) => (lastUsedAt ?? since).getTime()
      return apps.sort((a, b) => usedMs(b) - usedMs(a))
    },
  }
}

import type Provider from 'oidc-provider'
import { errors, type Interaction } from 'oidc-provider'
import type { Db } from '../../database/schema.ts'
import * as accounts from '../../stores/people/accounts.ts'
import * as grants from '../../stores/protocol/grants.ts'
import type { ConsentItem, Views } from '../../views/render.ts'
import { askerOf, type Shown } from '../clients/askers.ts'
import type { Client } from '../engine.ts'
import { requiredScopes, scopesFor } from '../permissions/client-scopes.ts'
import type { ResourceServers } from '../permissions/resource-servers.ts'
import { claimOf, isClaim, scopes } from '../scopes.ts'
import { type GrantPayload, type Permissions, permissionsOf, type Registrations } from './decision.ts'

/** What one interaction asks a person for: as data to decide on, and as the page shows it. */
export type ConsentRequest = {
  clientId: string
  asked: Permissions
  required: string[]
  shown: Shown
  registrations: Registrations
  page: Omit<Views['consent'], 'uid' | 'csrf' | 'error'>
}

/** What a person ticked, as the form sends it. */
export type Ticked = { scope: string[]; claim: string[]; resource_scope: string[] }

type Details = {
  missingOIDCScope?: string[]
  missingOIDCClaims?: string[]
  missingResourceScopes?: Record<string, string[]>
  deniedRequiredScopes?: string[]
}

export function createConsentRequests({
  db,
  provider,
  resourceServers,
}: {
  db: Db
  provider: Provider
  resourceServers: ResourceServers
}) {
  /**
   * What was never decided, and what was denied and is required by now. With `prompt=consent` everything that is requested, what was denied included; and also
   * when nothing is new and a native app has the person asked all the same.
   */
  async function askedOf({ prompt, params }: Interaction, client: Client): Promise<Permissions> {
    const details = prompt.details as Details
    const { missingOIDCScope, missingOIDCClaims, missingResourceScopes, deniedRequiredScopes } = details
    const isNew = Boolean(missingOIDCScope ?? missingOIDCClaims ?? missingResourceScopes ?? deniedRequiredScopes)
    if (isNew && !words(params['prompt']).includes('consent')) {
      return {
        scopes: [...(missingOIDCScope ?? []), ...(deniedRequiredScopes ?? [])],
        claims: missingOIDCClaims ?? [],
        resources: missingResourceScopes ?? {},
      }
    }
    const requested = words(params['scope'])
    const resources = await Promise.all(
      [params['resource'] ?? []].flat().map(async (identifier) => {
        const server = await resourceServers.find(String(identifier))
        const offered = server ? scopesFor(client, server) : []
        return [String(identifier), requested.filter((scope) => offered.includes(scope))] as const
      }),
    )
    return {
      scopes: requested.filter((scope) => Object.hasOwn(scopes, scope)),
      claims: claimsIn(params['claims']),
      resources: Object.fromEntries(resources.filter(([, list]) => list.length > 0)),
    }
  }

  /** Without the APIs that were registered since the person was sent here: the page may have shown another one. */
  function ofShown(asked: Permissions, { iat }: Interaction, registrations: Registrations): Permissions {
    const isShown = ([id]: [string, unknown]) => (registrations.get(id) ?? Number.POSITIVE_INFINITY) < (iat + 1) * 1000
    return { ...asked, resources: Object.fromEntries(Object.entries(asked.resources).filter(isShown)) }
  }

  return {
    async of(interaction: Interaction): Promise<ConsentRequest> {
      const clientId = String(interaction.params['client_id'])
      const accountId = String(interaction.session?.accountId)
      const [client, account] = await Promise.all([provider.Client.find(clientId), accounts.findById(db, accountId)])
      if (!client || !account) throw new errors.SessionNotFound('the client or the account is gone')
      const undecided = await askedOf(interaction, client)
      const registrations = await resourceServers.registrationsOf(Object.keys(undecided.resources))
      const asked = ofShown(undecided, interaction, registrations)
      const stored = await grants.find(db, accountId, clientId)
      const { rejected } = permissionsOf(stored?.payload as GrantPayload | undefined)
      const asker = askerOf(client, String(interaction.params['redirect_uri'] ?? ''))
      const required = requiredScopes(client).filter((name) => asked.scopes.includes(name))

      const item = (
        name: string,
        text: { title: string; description: string | undefined },
        values: string[],
        isDenied: boolean,
      ): ConsentItem => ({
        name,
        ...text,
        values,
        required: required.includes(name),
        checked: required.includes(name) || !isDenied,
      })
      const resources = Object.entries(asked.resources).map(async ([identifier, names]) => {
        const server = await resourceServers.find(identifier)
        return {
          identifier,
          name: server?.name ?? identifier,
          scopes: names.map((name) =>
            item(
              name,
              { title: server?.scopes[name] || name, description: undefined },
              [],
              rejected.resources[identifier]?.includes(name) ?? false,
            ),
          ),
        }
      })

      return {
        clientId,
        asked,
        required,
        shown: { name: asker.name, host: asker.host },
        registrations,
        page: {
          client: {
            ...asker,
            uri: client.clientUri,
            policyUri: client.policyUri,
            tosUri: client.tosUri,
          },
          account: { name: String(account.profile['name'] ?? ''), email: account.email },
          scopes: asked.scopes.map((name) =>
            item(
              name,
              { title: scopes[name]?.title ?? name, description: scopes[name]?.description },
              name === 'openid' ? [] : valuesOf(account, Object.keys(scopes[name]?.claims ?? {})),
              rejected.scopes.includes(name),
            ),
          ),
          claims: asked.claims.map((name) => ({
            name,
            title: `Your ${name.replaceAll('_', ' ')}`,
            values: valuesOf(account, [name]),
            checked: !rejected.claims.includes(name),
          })),
          resources: await Promise.all(resources),
        },
      }
    },

    /** What of the request the ticks approve. `'invalid'` when something is ticked that was not asked for. */
    approve({ asked, required }: ConsentRequest, ticked: Ticked): Permissions | 'invalid' {
      const resources: Record<string, string[]> = {}
      for (const entry of ticked.resource_scope) {
        const space = entry.lastIndexOf(' ')
        const [identifier, scope] = [entry.slice(0, space), entry.slice(space + 1)]
        if (!Object.hasOwn(asked.resources, identifier) || !asked.resources[identifier]?.includes(scope))
          return 'invalid'
        resources[identifier] = [...(resources[identifier] ?? []), scope]
      }
      const isSubset = (some: string[], all: string[]) => some.every((name) => all.includes(name))
      if (!isSubset(ticked.scope, asked.scopes) || !isSubset(ticked.claim, asked.claims)) return 'invalid'
      return { scopes: [...new Set([...required, ...ticked.scope])], claims: ticked.claim, resources }
    },
  }
}

const words = (text: unknown) =>
  String(text ?? '')
    .split(' ')
    .filter(Boolean)

/** The claims a `claims` parameter names that a person decides on (OpenID Connect Core §5.5). The engine has validated it. */
function claimsIn(parameter: unknown): string[] {
  const { userinfo, id_token: idToken } = JSON.parse(String(parameter ?? '{}'))
  const named = [userinfo, idToken].flatMap((part) => Object.entries(part ?? {}))
  const asked = named.filter(([name, request]) => isClaim(name) && name !== 'sub' && typeof request === 'object')
  return [...new Set(asked.map(([name]) => name))]
}

// The person's own data, as short as it can be said.
function valuesOf(account: accounts.Account, names: string[]): string[] {
  return names
    .map((name) => claimOf(account, name))
    .filter((value) => typeof value === 'string' || (typeof value === 'object' && value !== null))
    .map((value) =>
      typeof value === 'string'
        ? value
        : Object.values(value as object)
            .filter((part) => typeof part === 'string')
            .join(', '),
    )
    .filter(Boolean)
}

export type ConsentRequests = ReturnType<typeof createConsentRequests>

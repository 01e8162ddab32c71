import type Provider from 'oidc-provider'
import { errors, type Interaction } from 'oidc-provider'
import type { Db } from '../../database/schema.ts'
import type { Language } from '../../languages/index.ts'
import { forEverybody, type ScopeText } from '../../stores/clients/resource-servers.ts'
import * as accounts from '../../stores/people/accounts.ts'
import * as grants from '../../stores/protocol/grants.ts'
import type { ConsentError, ConsentItem, ConsentPage, ShownValue } from '../../views/pages/consent.ts'
import { type ClientIdentity, identityOf, inLanguage, linksOf, shownClient } from '../clients/shown.ts'
import type { Client } from '../engine.ts'
import { delegatedScopes, requiredScopes } from '../permissions/client-scopes.ts'
import type { ResourceServers } from '../permissions/resource-servers.ts'
import { claimOf, isClaim, isOidcScope, scopes } from '../scopes.ts'
import { type GrantPayload, leavesNothing, type Permissions, permissionsOf } from './decision.ts'
import type { Registrations } from './record.ts'

/** The permissions that one interaction asks a person for: as data to decide on, and as the page shows them. */
export type ConsentRequest = {
  clientId: string
  /** Everything that the app requests, decided or not. */
  requested: Permissions
  asked: Permissions
  required: string[]
  /** The grant that the decision changes. */
  grant: GrantPayload | undefined
  shown: ClientIdentity
  registrations: Registrations
  page: Omit<ConsentPage, 'uid' | 'csrf' | 'error'>
}

/** The boxes that a person ticked, as the form sends them. */
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
  /** Returns everything that an authorization request asks for. */
  async function requestedBy({ params }: Interaction, client: Client): Promise<Permissions> {
    const requested = words(params['scope'])
    const resources = await Promise.all(
      [params['resource'] ?? []].flat().map(async (identifier) => {
        const server = await resourceServers.find(String(identifier))
        const offered = server ? delegatedScopes(client, server) : []
        return [String(identifier), requested.filter((scope) => offered.includes(scope))] as const
      }),
    )
    return {
      scopes: requested.filter(isOidcScope),
      claims: claimsIn(params['claims']),
      resources: Object.fromEntries(resources.filter(([, list]) => list.length > 0)),
    }
  }

  /**
   * Returns the permissions that a person is asked for: those that they never decided on, and those that they denied
   * and the app has required since. With `prompt=consent`, and when a native app asks again without anything new, that
   * is the whole request.
   */
  function askedOf({ prompt, params }: Interaction, requested: Permissions): Permissions {
    const details = prompt.details as Details
    const { missingOIDCScope, missingOIDCClaims, missingResourceScopes, deniedRequiredScopes } = details
    const isNew = Boolean(missingOIDCScope ?? missingOIDCClaims ?? missingResourceScopes ?? deniedRequiredScopes)
    if (!isNew || words(params['prompt']).includes('consent')) return requested
    return {
      scopes: [...(missingOIDCScope ?? []), ...(deniedRequiredScopes ?? [])],
      claims: missingOIDCClaims ?? [],
      resources: missingResourceScopes ?? {},
    }
  }

  /** Leaves out APIs that were registered after the person was sent here: the page may have shown another API. */
  function withoutLaterApis(asked: Permissions, { iat }: Interaction, registrations: Registrations): Permissions {
    const isShown = ([id]: [string, unknown]) => (registrations.get(id) ?? Number.POSITIVE_INFINITY) < (iat + 1) * 1000
    return { ...asked, resources: Object.fromEntries(Object.entries(asked.resources).filter(isShown)) }
  }

  return {
    async of(interaction: Interaction, language: Language): Promise<ConsentRequest> {
      const clientId = String(interaction.params['client_id'])
      const accountId = String(interaction.session?.accountId)
      const [client, account] = await Promise.all([provider.Client.find(clientId), accounts.findById(db, accountId)])
      if (!client || !account) throw new errors.SessionNotFound('the client or the account is gone')
      const requested = await requestedBy(interaction, client)
      const undecided = askedOf(interaction, requested)
      const registrations = await resourceServers.registrationsOf(Object.keys(undecided.resources))
      const asked = withoutLaterApis(undecided, interaction, registrations)
      const stored = await grants.find(db, accountId, clientId)
      const grant = stored?.payload as GrantPayload | undefined
      const { rejected } = permissionsOf(grant)
      const redirectUri = String(interaction.params['redirect_uri'] ?? '')
      const required = requiredScopes(client).filter((name) => asked.scopes.includes(name))

      const item = <Name extends string>(name: Name, values: ShownValue[], isDenied: boolean): ConsentItem<Name> => ({
        name,
        values,
        required: required.includes(name),
        checked: required.includes(name) || !isDenied,
      })
      const resources = Object.entries(asked.resources).map(async ([identifier, names]) => {
        const server = await resourceServers.find(identifier)
        return {
          identifier,
          name: server?.name ?? identifier,
          scopes: names.map((name) => ({
            ...item(name, [], rejected.resources[identifier]?.includes(name) ?? false),
            title: titleOf(server?.scopes[name], language) || name,
          })),
        }
      })

      return {
        clientId,
        requested,
        asked,
        required,
        grant,
        shown: identityOf(client, redirectUri),
        registrations,
        page: {
          client: { ...shownClient(client, language, redirectUri), ...linksOf(client, language) },
          account: { name: String(account.profile['name'] ?? ''), email: account.email },
          isFirst: grant === undefined,
          scopes: asked.scopes.filter(isOidcScope).map((name) => {
            const values = name === 'openid' ? [] : valuesOf(account, Object.keys(scopes[name].claims))
            return item(name, values, rejected.scopes.includes(name))
          }),
          claims: asked.claims
            .filter(isClaim)
            .filter((name) => name !== 'sub')
            .map((name) => ({
              name,
              values: valuesOf(account, [name]),
              required: false,
              checked: !rejected.claims.includes(name),
            })),
          resources: await Promise.all(resources),
        },
      }
    },

    /**
     * Returns the permissions that the ticks approve. `'invalid'` means that something is ticked that was not asked
     * for, and `'nothing-granted'` that nothing of the request would be granted, so that the answer would be of no use
     * to the app.
     */
    approve(request: ConsentRequest, ticked: Ticked): Permissions | ConsentError {
      const { asked, required } = request
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
      const approved = { scopes: [...new Set([...required, ...ticked.scope])], claims: ticked.claim, resources }
      return leavesNothing(request.grant, { asked, approved }, request.requested) ? 'nothing-granted' : approved
    },
  }
}

/** Returns the sentence of an API's scope in a language. */
export const titleOf = (text: ScopeText = '', language: Language) =>
  typeof text === 'string' ? text : (inLanguage(text, language) ?? forEverybody(text))

const words = (text: unknown) =>
  String(text ?? '')
    .split(' ')
    .filter(Boolean)

/** Returns the claims of a `claims` parameter that a person decides on (OpenID Connect Core §5.5). The engine has validated it. */
function claimsIn(parameter: unknown): string[] {
  const { userinfo, id_token: idToken } = JSON.parse(String(parameter ?? '{}'))
  const named = [userinfo, idToken].flatMap((part) => Object.entries(part ?? {}))
  const asked = named.filter(([name, request]) => isClaim(name) && name !== 'sub' && typeof request === 'object')
  return [...new Set(asked.map(([name]) => name))]
}

/** Returns the account's values of these claims, as short texts. */
function valuesOf(account: accounts.Account, names: string[]): ShownValue[] {
  return names.filter(isClaim).flatMap((claim) => {
    const value = textOf(claimOf(account, claim))
    return claim !== 'sub' && value ? [{ claim, value }] : []
  })
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  const parts = typeof value === 'object' && value !== null ? Object.values(value) : []
  return parts.filter((part) => typeof part === 'string').join(', ')
}

export type ConsentRequests = ReturnType<typeof createConsentRequests>

import { z } from 'zod'
import { fapiDefaults, fapiRequirements, judgeFapi } from './fapi.ts'
import type { Localized } from './localized.ts'
import { clientMetadata, type Metadata, privileges, texts, uriRules } from './metadata.ts'
import { areOfNativeApp } from './redirect-uris.ts'
import type { Refusal } from './refusal.ts'
import type { Policy } from './rules.ts'
import * as scopeRules from './scope-rules.ts'

/** The facts that a judgement depends on besides the metadata. */
export type Circumstances = {
  policy: Policy
  /** Whether the issuer is on the loopback interface, where the clients being developed with it are too. */
  isLoopbackIssuer: boolean
  /** The scopes that belong to no API. */
  openScopes: readonly string[]
  /** Whether the client gives the metadata itself, rather than an administrator for it. */
  isOwnWord?: boolean
}

type Judge = (metadata: Metadata, circumstances: Circumstances) => Refusal | undefined

/**
 * Completes the metadata that a client gives. `null` is dropped (RFC 7592 §2.2), and so are repeated entries of a list.
 * A member that is left out has the default of RFC 7591 §2 or, where the policy does not allow that, the first value
 * that it allows. Without `scope` or `resources` a client could ask for any, so their default is what the policy lists.
 * A client whose redirect URIs only a native app can have is native: with `web`, the default of OpenID Connect
 * Registration §2, none of them would be allowed.
 */
export function effective(metadata: Metadata, { rules }: Policy): Metadata {
  const given = Object.entries(metadata)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => [name, Array.isArray(value) ? [...new Set(value)] : value])
  const scope = scopeRules.defaultScope(rules)
  const isApp = areOfNativeApp(texts(metadata['redirect_uris']), rules)
  const completed: Metadata = {
    application_type: standard(isApp ? 'native' : 'web', rules.application_types) ?? 'web',
    grant_types: [standard('authorization_code', rules.grant_types) ?? []].flat(),
    response_types: [standard('code', rules.response_types) ?? []].flat(),
    token_endpoint_auth_method:
      standard('client_secret_basic', rules.token_endpoint_auth_methods) ?? 'client_secret_basic',
    ...fapiDefaults(metadata),
    ...(scope !== undefined && { scope }),
    ...(rules.resources !== '*' && { resources: [...rules.resources] }),
    ...Object.fromEntries(given),
    ...fapiRequirements(metadata),
  }
  return { ...completed, grant_types: withImpliedGrants(completed) }
}

/**
 * Judges whether a policy allows a client with this metadata, which is completed first. Returns the refusal, if it does
 * not.
 *
 * Every path that registers or changes a client leads here, so that no rule depends on the path.
 */
export function judge(metadata: Metadata, circumstances: Circumstances): Refusal | undefined {
  const completed = effective(metadata, circumstances.policy)
  for (const judgeOne of judges) {
    const refusal = judgeOne(completed, circumstances)
    if (refusal) return refusal
  }
  return undefined
}

/**
 * Reduces metadata that was judged before to what the policy allows now: its scopes and resources are cut to those that
 * are listed. An empty `scope` means none, whereas leaving it out would mean any.
 */
export function within(metadata: Metadata, { policy: { rules }, openScopes }: Circumstances): Metadata {
  const circumstances = { isMachine: isMachine(metadata), openScopes, isOwnWord: true }
  const scope = (metadata['scope'] ?? scopeRules.defaultScope(rules)) as string | undefined
  const left = scope?.split(' ').filter((name) => scopeRules.allows(rules, name, circumstances))
  const { resources: listed } = rules
  const resources = (metadata['resources'] ?? (listed === '*' ? undefined : listed)) as string[] | undefined
  return {
    ...metadata,
    ...(left ? { scope: left.join(' ') } : !scopeRules.allowsAny(rules) && { scope: '' }),
    ...(resources && { resources: resources.filter((uri) => listed === '*' || listed.includes(uri)) }),
  }
}

const wellFormed = z.looseObject(clientMetadata.shape)
const deepest = 16 // levels; a JWK Set has three, and code that copies or stores JSON fails at some thousands

const judgeDepth: Judge = (metadata) => {
  const deep = Object.keys(metadata).find((name) => nestsDeeper(metadata[name], deepest))
  return deep === undefined ? undefined : refuse(deep, 'well_formed', `${deep} must not be nested so deeply`)
}

const judgeSize: Judge = (metadata, { policy: { rules } }) => {
  if (bytesOf(metadata) <= rules.max_metadata_bytes) return undefined
  const [largest = ''] = Object.keys(metadata).sort((a, b) => bytesOf(metadata[b]) - bytesOf(metadata[a]))
  return refuse(largest, 'max_metadata_bytes', `the metadata must not exceed ${rules.max_metadata_bytes} bytes`)
}

const judgeForm: Judge = (metadata) => {
  const issue = wellFormed.safeParse(metadata).error?.issues[0]
  if (!issue) return undefined
  return refuse(String(issue.path[0]), 'well_formed', `${issue.path.join('.')}: ${issue.message}`)
}

const judgeChoices: Judge = (metadata, { policy: { rules } }) => {
  const choices = [
    ['grant_types', 'grant_types'],
    ['response_types', 'response_types'],
    ['application_type', 'application_types'],
    ['token_endpoint_auth_method', 'token_endpoint_auth_methods'],
  ] as const
  for (const [field, rule] of choices) {
    const allowed = rules[rule].map(sorted)
    const isAllowed = texts(metadata[field]).every((value) => allowed.includes(sorted(value)))
    if (!isAllowed) return refuse(field, rule, `${field} may only be ${rules[rule].join(', ') || 'empty'}`)
  }
  return undefined
}

const judgePublicMachine: Judge = (metadata) => {
  // RFC 6749 §4.4: anyone can claim to be a public client.
  if (metadata['token_endpoint_auth_method'] !== 'none' || !isMachine(metadata)) return undefined
  const field = 'token_endpoint_auth_method'
  return refuse(field, 'token_endpoint_auth_methods', `${field} must not be none with client_credentials`)
}

const judgePrivileges: Judge = (metadata, { policy: { rules } }) => {
  const refused = privileges.find(
    ({ name, rule, harmless }) => !rules[rule] && ![undefined, harmless].includes(metadata[name]),
  )
  if (!refused) return undefined
  return refuse(refused.name, refused.rule, `${refused.name} can only be set by an administrator`)
}

const judgeStatement: Judge = (metadata, { policy: { rules } }) => {
  const isPresented = metadata['software_statement'] !== undefined
  const isRight = rules.software_statement === (isPresented ? 'required' : 'refused')
  if (rules.software_statement === 'optional' || isRight) return undefined
  const must = isPresented ? 'must not be presented' : 'must be presented'
  return refuse('software_statement', 'software_statement', `a software_statement ${must}`)
}

const judgeScope: Judge = (metadata, { policy: { rules }, openScopes, isOwnWord = false }) => {
  const { scope } = metadata
  if (scope === undefined && !scopeRules.allowsAny(rules)) {
    return refuse('scope', 'scopes', 'scope must be given, because none is given by default')
  }
  const circumstances = { isMachine: isMachine(metadata), openScopes, isOwnWord }
  const refused = texts(scope)
    .flatMap((names) => names.split(' '))
    .find((name) => !scopeRules.allows(rules, name, circumstances))
  return refused === undefined ? undefined : refuse('scope', 'scopes', `scope must not include ${refused}`)
}

const judgeResources: Judge = (metadata, { policy: { rules } }) => {
  const allowed = rules.resources
  const { resources, default_resource: byDefault } = metadata
  if (allowed !== '*' && !texts(resources).every((uri) => allowed.includes(uri))) {
    return refuse('resources', 'resources', 'resources may only include what the policy lists')
  }
  if (resources === undefined || texts(byDefault).every((uri) => texts(resources).includes(uri))) return undefined
  return refuse('default_resource', 'resources', 'default_resource must be one of resources')
}

const judgeUris: Judge = (metadata, circumstances) => {
  const {
    policy: { rules },
    isLoopbackIssuer,
  } = circumstances
  const context = { rules, isNative: metadata['application_type'] === 'native', isLoopbackIssuer }
  for (const { name: field, problemOf } of uriRules) {
    const uris = texts(metadata[field])
    if (uris.length > rules.max_uris) {
      return refuse(field, 'max_uris', `${field} must not have more than ${rules.max_uris} entries`)
    }
    for (const uri of uris) {
      const problem = problemOf(uri, context)
      if (problem) return refuse(field, problem.rule, `${field} ${problem.message}`)
    }
  }
  const inLanguages = Object.values((metadata['localized'] ?? {}) as Localized)
  const refused = inLanguages.map((texts) =>
    judgeUris({ ...texts, application_type: metadata['application_type'] }, circumstances),
  )
  return refused.find(Boolean)
}

const judges: Judge[] = [
  judgeDepth, // before the others copy or measure it, level by level
  judgeSize,
  judgeForm, // before the others, which rely on the form of the metadata
  judgeChoices,
  judgePublicMachine,
  judgePrivileges,
  judgeFapi,
  judgeStatement,
  judgeScope,
  judgeResources,
  judgeUris,
]

/** Adds the grants that the response types imply (RFC 7591 §2.1), as the engine does. */
function withImpliedGrants({ grant_types: grants, response_types: responses }: Metadata): unknown {
  if (!Array.isArray(grants)) return grants
  const words = texts(responses).flatMap((type) => type.split(' '))
  const implied = [
    ...(words.includes('code') ? ['authorization_code'] : []),
    ...(words.includes('token') || words.includes('id_token') ? ['implicit'] : []),
  ]
  return [...new Set([...grants, ...implied])]
}

const standard = (value: string, allowed: readonly string[]) => (allowed.includes(value) ? value : allowed[0])
const sorted = (words: string) => words.split(' ').sort().join(' ')
const isMachine = (metadata: Metadata) => texts(metadata['grant_types']).includes('client_credentials')
const nestsDeeper = (value: unknown, levels: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((item) => nestsDeeper(item, levels - 1)))
const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '')

// The message ends up in `error_description`, which must not contain quotation marks (RFC 6749 §5.2).
function refuse(field: string, rule: string, message: string): Refusal {
  return { field, rule, message: message.replaceAll('"', "'") }
}

import type { Language } from '../../languages/index.ts'
import { lookup } from '../../languages/lookup.ts'
import { addressOf } from '../../registration/documents.ts'
import { byLanguage, type Localized } from '../../registration/localized.ts'
import { nameProblem } from '../../registration/names.ts'
import { accountPagesId } from '../../stores/clients/built-in.ts'
import type { Links, ShownClient } from '../../views/shown-client.ts'
import type { Client } from '../engine.ts'

/** The part of a client that the consent page shows. When it changes, the consent page is shown again. */
export type ClientIdentity = {
  /** The name for people whose language the client does not have a name in. */
  name: string
  /** Its names in other languages. */
  names?: Record<string, string>
  host: string
}

const reviewed = new WeakSet<Client>()

/** Marks a client as registered by an administrator, who answers for the name that it gives itself. */
export function markReviewed(client: Client): void {
  reviewed.add(client)
}

/** Returns whether an administrator registered a client. */
export function isReviewed(client: Client): boolean {
  return reviewed.has(client)
}

const logos = new WeakMap<Client, string>()

/** Records the hash of the logo that this server has for a client. */
export function setLogo(client: Client, hash: string): void {
  logos.set(client, `/logos/${hash}`)
}

/** Returns a client as every page in this language shows it. */
export function shownClient(client: Client, language: Language, redirectUri = ''): ShownClient {
  const document = addressOf(client.clientId)
  const { name, names = {}, host } = identityOf(client, redirectUri)
  return {
    name: inLanguage(names, language) ?? name,
    host,
    isReviewed: isReviewed(client),
    logo: logos.get(client),
    ...(client.clientId === accountPagesId && { isOwn: true }),
    document: document && { host: document.host, address: client.clientId },
  }
}

/** Returns the part of a client that the consent page shows; a change of it voids the remembered consent. */
export function identityOf(client: Client, redirectUri: string): ClientIdentity {
  const url = URL.parse(redirectUri)
  // Only the host of a web address tells who gets the answer: anyone can use any host with an app's own scheme.
  const host = url && /^https?:$/.test(url.protocol) ? url.host : (url?.protocol ?? '')
  const names = namesOf(client)
  return { name: nameOf(client), ...(Object.keys(names).length > 0 && { names }), host }
}

/**
 * Returns the name that a client gives itself; that of a stranger only if it may be registered now, whenever it was.
 */
function nameOf(client: Client): string {
  const { clientName, clientId } = client
  return clientName !== undefined && isShowable(client, clientName) ? clientName : clientId
}

/** Returns the names that a client gives itself in other languages. */
function namesOf(client: Client): Record<string, string> {
  const names = Object.entries(byLanguage(localizedOf(client), 'client_name'))
  return Object.fromEntries(names.filter(([, name]) => isShowable(client, name)))
}

const isShowable = (client: Client, name: string) => isReviewed(client) || !nameProblem(name)

/** Returns the pages about a client that it names itself, in the language of the reader where it has them. */
export function linksOf(client: Client, language: Language): Links {
  const localized = localizedOf(client)
  return {
    uri: inLanguage(byLanguage(localized, 'client_uri'), language) ?? client.clientUri,
    policyUri: inLanguage(byLanguage(localized, 'policy_uri'), language) ?? client.policyUri,
    tosUri: inLanguage(byLanguage(localized, 'tos_uri'), language) ?? client.tosUri,
  }
}

const localizedOf = (client: Client) => (client as { localized?: Localized }).localized

/** Returns the text that fits a language best, if there is any (RFC 4647 §3.4). */
export function inLanguage(texts: Readonly<Record<string, string>>, language: Language): string | undefined {
  const tag = lookup([language], Object.keys(texts))
  return tag === undefined ? undefined : texts[tag]
}

import { addressOf } from '../../registration/documents.ts'
import { nameProblem } from '../../registration/names.ts'
import type { ShownClient } from '../../views/shown-client.ts'
import type { Client } from '../engine.ts'

/** The part of a client that the consent page shows. When it changes, the consent page is shown again. */
export type ClientIdentity = { name: string; host: string }

const reviewed = new WeakSet<Client>()

/** Marks a client as registered by an administrator, who answers for the name that it gives itself. */
export function markReviewed(client: Client): void {
  reviewed.add(client)
}

const logos = new WeakMap<Client, string>()

/** Records the hash of the logo that this server has for a client. */
export function setLogo(client: Client, hash: string): void {
  logos.set(client, `/logos/${hash}`)
}

/** Returns a client as every page shows it. */
export function shownClient(client: Client, redirectUri = ''): ShownClient {
  const document = addressOf(client.clientId)
  return {
    ...identityOf(client, redirectUri),
    isReviewed: reviewed.has(client),
    logo: logos.get(client),
    document: document && { host: document.host, address: client.clientId },
  }
}

/** Returns the part of a client that the consent page shows; a change of it voids the remembered consent. */
export function identityOf(client: Client, redirectUri: string): ClientIdentity {
  const url = URL.parse(redirectUri)
  // Only the host of a web address tells who gets the answer: anyone can use any host with an app's own scheme.
  const host = url && /^https?:$/.test(url.protocol) ? url.host : (url?.protocol ?? '')
  return { name: nameOf(client), host }
}

/**
 * Returns the name that a client gives itself; that of a stranger only if it may be registered now, whenever it was.
 */
function nameOf(client: Client): string {
  const { clientName, clientId } = client
  if (clientName === undefined || (!reviewed.has(client) && nameProblem(clientName))) return clientId
  return clientName
}

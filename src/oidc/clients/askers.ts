import { addressOf } from '../../registration/documents.ts'
import { nameProblem } from '../../registration/names.ts'
import type { Asker } from '../../views/askers.ts'
import type { Client } from '../engine.ts'

/** A client as the consent page shows it; when that changes, the person is asked again. */
export type Shown = { name: string; host: string }

const reviewed = new WeakSet<Client>()

/** Notes that an administrator registered this client, and so answers for what it calls itself. */
export function noteReviewed(client: Client): void {
  reviewed.add(client)
}

const logos = new WeakMap<Client, string>()

/** Notes that the logo of this client is here, under this hash. */
export function noteLogo(client: Client, hash: string): void {
  logos.set(client, `/logos/${hash}`)
}

/** Who asks, as every page shows it. */
export function askerOf(client: Client, redirectUri = ''): Asker {
  const document = addressOf(client.clientId)
  return {
    ...shownOf(client, redirectUri),
    isReviewed: reviewed.has(client),
    logo: logos.get(client),
    document: document && { host: document.host, address: client.clientId },
  }
}

/** What the consent page says about a client, so that the person is asked again when that changes. */
export function shownOf(client: Client, redirectUri: string): Shown {
  const url = URL.parse(redirectUri)
  // Only of a web address does the host say who gets the answer; with a scheme of an app's own anyone can write one.
  const host = url && /^https?:$/.test(url.protocol) ? url.host : (url?.protocol ?? '')
  return { name: nameOf(client), host }
}

/** What a client calls itself; of a stranger only what may be registered now, whenever it was. */
function nameOf(client: Client): string {
  const { clientName, clientId } = client
  if (clientName === undefined || (!reviewed.has(client) && nameProblem(clientName))) return clientId
  return clientName
}

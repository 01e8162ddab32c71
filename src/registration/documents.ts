import { gathered } from './localized.ts'
import { clientMetadata, type Metadata } from './metadata.ts'
import { read } from './uris.ts'

/** The registration policy for client id metadata documents. */
export const documentPolicy = 'document'

const longestId = 2_048
const ofSharedSecrets = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt']
const secrets = ['client_secret', 'client_secret_expires_at']

/**
 * Reads a client id as the address of its document. The address is https with a path, and without user information, dot
 * segments and fragment (draft-ietf-oauth-client-id-metadata-document-02 §3). The draft discourages a query; here it is
 * not allowed, because many pages repeat text from their query. An address must be spelled as the URL Standard writes
 * it, so that one document is one client.
 */
export function addressOf(clientId: string): URL | undefined {
  if (clientId.length > longestId || !/^https:\/\/[^?#]*$/.test(clientId)) return undefined
  const found = read(clientId)
  if ('problem' in found) return undefined
  return clientId.startsWith(`${found.url.origin}/`) ? found.url : undefined
}

/** Says whether the host of a document is among those that CLIENT_ID_METADATA_DOCUMENTS lists. */
export function isAccepted({ host }: URL, hosts: readonly string[]): boolean {
  return hosts.some(
    (pattern) => pattern === '*' || pattern === host || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1))),
  )
}

/**
 * Reads a document, or says what is wrong with it (§4). A document must name its own address, because anyone can
 * publish one, and has no secret, because everyone can read it. Members that are not client metadata are ignored, as
 * the draft says, and so is a software statement: the address vouches for the document.
 */
export function readDocument(clientId: string, text: string): { metadata: Metadata } | { problem: string } {
  const document = parsed(text)
  if (!document) return { problem: 'is not a JSON object' }
  if (document['client_id'] !== clientId) return { problem: 'has another client_id than its address' }
  if (ofSharedSecrets.includes(String(document['token_endpoint_auth_method']))) {
    return { problem: 'must not use a token_endpoint_auth_method with a shared secret' }
  }
  const secret = secrets.find((name) => name in document)
  if (secret !== undefined) return { problem: `must not contain ${secret}` }
  // It would be fetched at every look-up of the client. Without it, pairwise subjects depend on the redirect host.
  if ('sector_identifier_uri' in document) return { problem: 'must not contain sector_identifier_uri' }
  const known = Object.entries(gathered(document)).filter(([name]) => Object.hasOwn(clientMetadata.shape, name))
  return { metadata: Object.fromEntries(known) }
}

function parsed(text: string): Metadata | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Metadata) : undefined
  } catch {
    return undefined
  }
}

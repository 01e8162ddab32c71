import { clientMetadata, type Metadata } from './metadata.ts'
import { read } from './uris.ts'

/** The registration policy that judges what a client id metadata document says. */
export const documentPolicy = 'document'

const longestId = 2_048
const ofSharedSecrets = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt']
const secrets = ['client_secret', 'client_secret_expires_at']

/**
 * The address that a client id is, if its document may be there: https, with a path, and neither user information, dot
 * segments, a query nor a fragment (draft-ietf-oauth-client-id-metadata-document-02 §3). A query the draft would rather
 * not have, and here there is none, because many a page answers with what its query says. Of several spellings of one address only
 * that of the URL Standard will do, so that one document is one client.
 */
export function addressOf(clientId: string): URL | undefined {
  if (clientId.length > longestId || !/^https:\/\/[^?#]*$/.test(clientId)) return undefined
  const found = read(clientId)
  if ('problem' in found) return undefined
  return clientId.startsWith(`${found.url.origin}/`) ? found.url : undefined
}

/** Whether a document's host is one of these, as CLIENT_ID_METADATA_DOCUMENTS lists them. */
export function isAccepted({ host }: URL, hosts: readonly string[]): boolean {
  return hosts.some(
    (pattern) => pattern === '*' || pattern === host || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1))),
  )
}

/**
 * Reads a document, or says what is wrong with it (§4). It is of whoever publishes it, so it names its own address, and
 * there is no secret to share with its owner. Members that are no client metadata are left aside, as the draft has it,
 * and so is a software statement: the address is what vouches for the document.
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
  // It would be fetched whenever the client is looked up. Without it, pairwise subjects go by the redirect host.
  if ('sector_identifier_uri' in document) return { problem: 'must not contain sector_identifier_uri' }
  const known = Object.entries(document).filter(([name]) => Object.hasOwn(clientMetadata.shape, name))
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

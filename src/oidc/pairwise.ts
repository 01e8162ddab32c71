import { createHmac } from 'node:crypto'
import { isLoopback } from '../registration/uris.ts'
import type { Secret } from '../secret.ts'

/** Returns the subject that identifies an account to a client of the `pairwise` type. */
export type PairwiseSubject = (accountId: string, client: { [member: string]: unknown }) => Promise<string>

/** Creates the function that derives subjects for clients of the `pairwise` type (OpenID Connect Core §8.1). */
export function pairwiseSubjects(salt: Secret<Buffer>): PairwiseSubject {
  return async (accountId, client) =>
    createHmac('sha256', salt.reveal())
      .update(`${sectorOf(client)}\0${accountId}`)
      .digest('base64url')
}

/**
 * Returns the sector of a client. Clients of the same sector know a person by the same subject. A sector is a host on
 * the web that people return to. A client without one is a sector by itself: an app's own scheme names no host, and
 * loopback is the same for all apps.
 */
function sectorOf(client: Parameters<PairwiseSubject>[1]): string {
  const [first] = (client['redirectUris'] ?? []) as string[]
  const isOfHost = client['sectorIdentifierUri'] !== undefined || first === undefined || isOnWeb(first)
  return String(isOfHost ? client['sectorIdentifier'] : client['clientId'])
}

function isOnWeb(uri: string): boolean {
  const url = URL.parse(uri)
  return url !== null && /^https?:$/.test(url.protocol) && !isLoopback(url)
}

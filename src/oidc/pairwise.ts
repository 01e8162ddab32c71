import { createHmac } from 'node:crypto'
import { isLoopback } from '../registration/uris.ts'
import type { Secret } from '../secret.ts'

/** The subject an account has towards a client that is told pairwise ones. */
export type PairwiseSubject = (accountId: string, client: { [member: string]: unknown }) => Promise<string>

/** Makes the subjects that accounts have towards clients of the `pairwise` type (OpenID Connect Core §8.1). */
export function pairwiseSubjects(salt: Secret<Buffer>): PairwiseSubject {
  return async (accountId, client) =>
    createHmac('sha256', salt.reveal())
      .update(`${sectorOf(client)}\0${accountId}`)
      .digest('base64url')
}

/**
 * The clients that know a person by one subject: those of a host. Where it is no host on the web that people return to,
 * it is the client alone. A scheme of an app names no host, and loopback is the same for all apps.
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

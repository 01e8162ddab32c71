import type { Tx } from '../../database/schema.ts'
import * as revocations from '../../stores/clients/revocations.ts'
import { isFirstParty } from './first-party.ts'

type Metadata = Record<string, unknown>

/**
 * Ends what was issued to a client on the strength of something that it no longer is. Part of the change itself, whoever
 * makes it, so that nothing is redeemed that was issued on the way.
 */
export async function endWhatWasNarrowed(tx: Tx, id: string, before: Metadata, after: Metadata): Promise<void> {
  // Nobody was asked for what a first-party client got. Anybody who names a public client could use what was given to one
  // that could prove who it is.
  const wasFirstParty = isFirstParty(before) && !isFirstParty(after)
  const wasConfidential = !isPublic(before) && isPublic(after)
  if (wasFirstParty || wasConfidential) await revocations.revokeIssued(tx, id)

  // A code on its way to an address that is no longer the client's is for somebody else.
  const kept = redirectUris(after)
  if (redirectUris(before).some((uri) => !kept.includes(uri))) await revocations.revokeCodes(tx, id)
}

const isPublic = ({ token_endpoint_auth_method: method }: Metadata) => method === 'none'
const redirectUris = ({ redirect_uris: uris }: Metadata) => (Array.isArray(uris) ? uris : [])

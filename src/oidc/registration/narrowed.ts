import type { Tx } from '../../database/schema.ts'
import type { Metadata } from '../../registration/metadata.ts'
import * as revocations from '../../stores/clients/revocations.ts'
import { isFirstParty } from './first-party.ts'

/**
 * Revokes what was issued to a client because of metadata that it no longer has. It runs in the transaction of the
 * change, so that nothing issued before the change is redeemed after it.
 */
export async function endWhatWasNarrowed(tx: Tx, id: string, before: Metadata, after: Metadata): Promise<void> {
  // No user consented to what a first-party client received. And anyone can act as a public client, and so could use
  // what was issued to a confidential one.
  const wasFirstParty = isFirstParty(before) && !isFirstParty(after)
  const wasConfidential = !isPublic(before) && isPublic(after)
  if (wasFirstParty || wasConfidential) await revocations.revokeIssued(tx, id)

  // A code on its way to an address that the client no longer has would reach somebody else.
  const kept = redirectUris(after)
  if (redirectUris(before).some((uri) => !kept.includes(uri))) await revocations.revokeCodes(tx, id)
}

const isPublic = ({ token_endpoint_auth_method: method }: Metadata) => method === 'none'
const redirectUris = ({ redirect_uris: uris }: Metadata) => (Array.isArray(uris) ? uris : [])

import type { Tx } from '../database/schema.ts'
import * as revocations from '../stores/client-revocations.ts'
import { isFirstParty } from './first-party.ts'

type Metadata = Record<string, unknown>

/**
 * Ends what was issued to a client and would not be issued to it as it is now. Part of the change itself, whoever makes
 * it, so that nothing is redeemed that was issued on the way.
 */
export async function endWhatWasNarrowed(tx: Tx, id: string, before: Metadata, after: Metadata): Promise<void> {
  // What nobody was asked for ends with the reason for not asking.
  if (isFirstParty(before) && !isFirstParty(after)) await revocations.revokeIssued(tx, id)
  const kept = redirectUris(after)
  // A code on its way to an address that is no longer the client's is somebody else's.
  if (redirectUris(before).some((uri) => !kept.includes(uri))) await revocations.revokeCodes(tx, id)
}

const redirectUris = ({ redirect_uris: uris }: Metadata) => (Array.isArray(uris) ? uris : [])

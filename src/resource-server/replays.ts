export type ReplayStore = {
  /**
   * Remembers a proof until a time, in seconds since 1970, and says whether this call was the first with its `id`.
   * Exactly one gets `true` of any number of simultaneous calls with one `id`.
   */
  claim(id: string, expiresAt: number): boolean | Promise<boolean>
}

const remembered = 100_000 // proofs, at some 200 bytes each

/**
 * Creates a store that remembers proofs in this process. It throws when it is full, so that the request is answered
 * with 503: forgetting a proof that is still accepted would let it be used again (RFC 9449 §11.1).
 */
export function createReplayStore(limit = remembered): ReplayStore {
  const proofs = new Map<string, number>() // the first to expire comes first

  return {
    claim(id, expiresAt) {
      const now = Date.now() / 1_000
      for (const [oldest, end] of proofs) {
        if (end > now) break
        proofs.delete(oldest)
      }
      if (proofs.has(id)) return false
      if (proofs.size >= limit) throw new Error('More DPoP proofs are in use than this process remembers')
      proofs.set(id, expiresAt)
      return true
    },
  }
}

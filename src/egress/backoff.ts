import { createBoundedMap } from '../bounded-map.ts'

/** A record of recent failures. It holds off requests to what failed. */
export type Backoff = {
  isHeld(key: string): boolean
  failed(key: string): void
  succeeded(key: string): void
}

const firstPauseMs = 1_000
const longestPauseMs = 300_000
const remembered = 1_000 // keys; more failures forget the oldest one, which gains an attacker one attempt

/**
 * Creates a backoff. The pause is one second at first, doubles with each failure in a row, and is at most five minutes.
 */
export function createBackoff(): Backoff {
  const pauses = createBoundedMap<string, { lengthMs: number; endsAtMs: number }>(remembered)
  const isHeld = (key: string) => {
    const pause = pauses.get(key)
    return pause !== undefined && performance.now() < pause.endsAtMs
  }

  return {
    isHeld,
    failed(key) {
      if (isHeld(key)) return // concurrent attempts count as one failure
      const nowMs = performance.now()
      const last = pauses.get(key)
      const isInARow = last && nowMs < last.endsAtMs + longestPauseMs
      const lengthMs = isInARow ? Math.min(last.lengthMs * 2, longestPauseMs) : firstPauseMs
      pauses.set(key, { lengthMs, endsAtMs: nowMs + lengthMs })
    },
    succeeded: pauses.delete,
  }
}

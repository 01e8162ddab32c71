import { createBoundedMap } from '../bounded-map.ts'

/** What failed lately, and is left alone for a while. */
export type Backoff = {
  isHeld(key: string): boolean
  failed(key: string): void
  succeeded(key: string): void
}

const firstPauseMs = 1_000
const longestPauseMs = 300_000
const remembered = 1_000 // keys; who has more of them fail makes the oldest forgotten, and gains an attempt

/** The pause is a second at first, twice as long after each further failure in a row, and never over five minutes. */
export function createBackoff(): Backoff {
  const pauses = createBoundedMap<string, { lengthMs: number; endsAtMs: number }>(remembered)
  const isHeld = (key: string) => {
    const pause = pauses.get(key)
    return pause !== undefined && performance.now() < pause.endsAtMs
  }

  return {
    isHeld,
    failed(key) {
      if (isHeld(key)) return // several attempts that were under way together are one failure
      const nowMs = performance.now()
      const last = pauses.get(key)
      const isInARow = last && nowMs < last.endsAtMs + longestPauseMs
      const lengthMs = isInARow ? Math.min(last.lengthMs * 2, longestPauseMs) : firstPauseMs
      pauses.set(key, { lengthMs, endsAtMs: nowMs + lengthMs })
    },
    succeeded: pauses.delete,
  }
}

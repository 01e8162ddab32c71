import { vi } from 'vitest'

/** Repeats a check until it passes. The time limit only ends a test that hangs: no test depends on how fast the machine is. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 120_000, interval: 20 })
}

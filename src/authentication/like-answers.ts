import { setTimeout as sleep } from 'node:timers/promises'

const stepMs = 1_000

/**
 * Starts a clock, and returns a function that waits for its next full second. Refusals that wait for it take the same time,
 * whatever a directory had to do for them: searching for nobody is faster than searching for somebody and checking a
 * password.
 */
export function startLikeAnswers(): () => Promise<void> {
  const startedAt = performance.now()
  return async () => {
    await sleep(stepMs - ((performance.now() - startedAt) % stepMs))
  }
}

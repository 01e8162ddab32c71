/**
 * Lets only so many pieces of work run at once. The others wait for their turn, up to a number; beyond it, it throws
 * `refusal()`. Work that gives a smaller number of its own waits only while the queue is shorter than that.
 */
export function createTurns({
  atOnce,
  longestQueue,
  refusal,
}: {
  atOnce: number
  longestQueue: number
  refusal: () => Error
}): <T>(work: () => Promise<T>, most?: number) => Promise<T> {
  let running = 0
  const waiting: Array<() => void> = []

  return async (work, most = longestQueue) => {
    if (running < atOnce) {
      running += 1
    } else {
      if (waiting.length >= most) throw refusal()
      await new Promise<void>((resolve) => waiting.push(resolve)) // whoever finishes hands its place on
    }
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}

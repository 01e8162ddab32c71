/**
 * Lets at most `atOnce` pieces of work run at the same time, and at most `longestQueue` wait for their turn. When the
 * queue is full, it throws `refusal()`. Work with a smaller limit `most` waits only while the queue is shorter than
 * that.
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
      await new Promise<void>((resolve) => waiting.push(resolve)) // work that finishes passes its place on
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

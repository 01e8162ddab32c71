/** Lets only so many pieces of work run at once. The others wait for their turn, up to a number. */
export function createTurns({
  atOnce,
  longestQueue,
}: {
  atOnce: number
  longestQueue: number
}): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: Array<() => void> = []

  return async (work) => {
    if (running < atOnce) {
      running += 1
    } else {
      if (waiting.length >= longestQueue)
        throw new Error('The key-management service is too slow for what is asked of it.')
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

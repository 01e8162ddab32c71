/** Adds one item to the batch that is being collected, and resolves with that item's result. */
export type Batched<Item, Result> = (item: Item) => Promise<Result>

type Waiting<Item, Result> = { item: Item; resolve: (result: Result) => void; reject: (reason: unknown) => void }

/**
 * Lets items that become ready in the same turn of the event loop share one round trip.
 *
 * At most `inFlight` batches run at once. Items that arrive in the meantime wait for the next batch: batches grow with
 * load, and a lone request never waits. `run` returns one result per item, in order. If it throws, every item of the
 * batch is rejected.
 */
export function batched<Item, Result>(
  run: (items: Item[]) => Promise<Result[]>,
  { inFlight, largest }: { inFlight: number; largest: number },
): Batched<Item, Result> {
  const queue: Waiting<Item, Result>[] = []
  let running = 0
  let isScheduled = false

  function schedule(): void {
    if (isScheduled || queue.length === 0 || running >= inFlight) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      if (queue.length > 0 && running < inFlight) void dispatch(queue.splice(0, largest))
      schedule()
    })
  }

  async function dispatch(batch: Waiting<Item, Result>[]): Promise<void> {
    running += 1
    try {
      const results = await run(batch.map(({ item }) => item))
      if (results.length !== batch.length) throw new Error(`${batch.length} items had ${results.length} results.`)
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as Result)
      })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      running -= 1
      schedule()
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject })
      schedule()
    })
}

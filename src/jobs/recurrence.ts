export type Recurrence = { stop(): Promise<void> }

/**
 * Repeats `work` about every `everyMs`, at random intervals, so that processes do not work at the same time. `work`
 * should end early once `isStopped` returns true; `stop` waits for it.
 *
 * @param everyMs the interval, or a function that is called for each one
 */
export function recur(
  everyMs: number | (() => number),
  { work, onFailure }: { work(isStopped: () => boolean): Promise<void>; onFailure(error: unknown): void },
): Recurrence {
  let isStopped = false
  let timer: NodeJS.Timeout
  let running = Promise.resolve()

  async function run(): Promise<void> {
    try {
      await work(() => isStopped)
    } catch (error) {
      if (!isStopped) onFailure(error)
    }
    if (!isStopped) schedule()
  }

  function schedule(): void {
    timer = setTimeout(
      () => {
        running = run()
      },
      (typeof everyMs === 'number' ? everyMs : everyMs()) * (0.5 + Math.random()),
    ).unref()
  }

  schedule()
  return {
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await running
    },
  }
}

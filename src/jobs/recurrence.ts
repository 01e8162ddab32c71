export type Recurrence = { stop(): Promise<void> }

/**
 * Does something again and again, about `everyMs` apart: processes take turns rather than start together. `work` is
 * asked to end early by what `isStopped` says; stopping waits for it.
 *
 * @param everyMs asked for each time anew when it is a function
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

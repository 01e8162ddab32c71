export type Recurrence = { stop(): Promise<void> }

/**
 * Does something again and again, about `everyMs` apart: processes take turns rather than start together. `work` is
 * asked to end early by what `isStopped` says; stopping waits for it.
 */
export function recur(
  everyMs: number,
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
      everyMs * (0.5 + Math.random()),
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

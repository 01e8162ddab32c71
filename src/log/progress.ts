import type { Style } from './style.ts'

/** Runs a step of a task that takes a while, and shows its progress. */
export type Step = <T>(name: string, work: () => Promise<T>) => Promise<T>

/** Runs a step without showing it. */
export const unseen: Step = (_, work) => work()

const noticeableMs = 1_000

/** Shows each step on a terminal while it runs, and with a tick or a cross once it has ended. */
export function stepsOn(terminal: { write(text: string): unknown }, style: Style): Step {
  return async (name, work) => {
    const startedAt = performance.now()
    terminal.write(`${style.dim('…')} ${name}`)
    try {
      const result = await work()
      const ms = performance.now() - startedAt
      const took = ms < noticeableMs ? '' : style.dim(` (${(ms / 1000).toFixed(1)} s)`)
      terminal.write(`\r\u001b[K${style.green('✓')} ${name}${took}\n`)
      return result
    } catch (error) {
      terminal.write(`\r\u001b[K${style.red('✗')} ${name}\n`)
      throw error
    }
  }
}

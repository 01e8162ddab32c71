import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { inherited } from '../support/inherited.ts'

export const repository = join(import.meta.dirname, '../..')

export type Example = {
  child: ChildProcess
  /** Everything printed so far, on both streams. */
  output(): string
  /** Waits until it has printed text that matches. */
  prints(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves when it has ended, with how it ended. */
  ended: Promise<{ code: number | null; signal: string | null }>
  stop(): Promise<void>
}

const running = new Set<Example>()

/** Runs a program of examples/ in a process of its own, with these settings and no others. */
export function run(path: string, settings: Record<string, string> = {}, words: string[] = []): Example {
  return watch(spawn(process.execPath, [path, ...words], { cwd: repository, env: { ...inherited, ...settings } }))
}

/** Watches a program. With `leadsGroup` it was started detached, and is stopped together with its children. */
export function watch(child: ChildProcess, { leadsGroup = false } = {}): Example {
  let text = ''
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
      for (const look of waiting) look()
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => {
    running.delete(example)
    return { code, signal }
  })
  const example: Example = {
    child,
    output: () => text,
    prints: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(text)
          if (!found) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
        ended.then(() => reject(new Error(`it ended without printing ${pattern}:\n${text}`)), reject)
      }),
    ended,
    async stop() {
      if (leadsGroup) process.kill(-Number(child.pid), 'SIGTERM')
      else child.kill('SIGTERM')
      await ended
    },
  }
  running.add(example)
  return example
}

/** Stops whatever a test left running. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((example) => example.stop()))
}

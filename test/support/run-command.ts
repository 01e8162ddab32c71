import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

export type Call = { args: string[]; input: string }
export type Outcome = { code: number | null; stdout: string; stderr: string }

let calls = 0
const { exit } = process

/**
 * Runs `postern` once in this process, as if it were the only command. This saves what a process costs: to load all
 * modules. One command runs at a time. Lines of a server's log go to their usual destination.
 */
export async function runCommand({ args, input }: Call): Promise<Outcome> {
  const outcome = { stdout: '', stderr: '' }
  let isEnded = false
  const streams = ['stdout', 'stderr'] as const
  const writers = streams.map((name) => process[name].write)
  const kept = heldOpen()
  for (const name of streams) {
    process[name].write = (chunk: string | Uint8Array) => {
      outcome[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8')
      return true
    }
  }
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(input)]), configurable: true })
  process.argv = [process.execPath, 'postern', ...args]
  process.exitCode = 0
  process.exit = (code) => {
    isEnded = true
    process.exitCode = Number(code)
    throw new Error('This is where the process ends.')
  }
  try {
    await import(`../../src/cli.ts?${calls++}`) // the query makes it a new module, which runs again
    while (!isEnded && heldOpen() > kept) await sleep(1) // a process would wait for these too
    return { code: Number(process.exitCode), ...outcome }
  } finally {
    process.exit = exit
    for (const [index, name] of streams.entries()) if (writers[index]) process[name].write = writers[index]
  }
}

/** Counts everything that keeps this process from ending. */
const heldOpen = () => process.getActiveResourcesInfo().length

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Job } from './command-host.ts'
import { inherited } from './inherited.ts'
import type { Outcome } from './run-command.ts'

export type { Outcome } from './run-command.ts'

type Surroundings = { env: Record<string, string>; input?: string; cwd?: string }

const repository = join(import.meta.dirname, '..', '..')

/**
 * Runs `postern` with only this environment, as a shell without a terminal does. All commands of a worker run in one
 * process, one after the other, except those that start a server.
 */
export async function postern(args: string[], surroundings: Surroundings): Promise<Outcome> {
  if (args[0] === 'start') return posternProcess(args, surroundings)
  const { env, input = '', cwd = repository } = surroundings
  const before = last
  const turn = before.then(() => ask({ args, env, input, cwd }))
  last = turn.catch(() => {})
  return turn
}

/** Runs `postern` in a process of its own: for tests of what only a process has, and for two commands at once. */
export async function posternProcess(
  args: string[],
  { env, input = '', cwd = repository }: Surroundings,
): Promise<Outcome> {
  const child = spawn(process.execPath, [join(repository, 'src/cli.ts'), ...args], {
    cwd,
    env: { ...inherited, ...env },
  })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      output[name] += chunk
    })
  }
  child.stdin.on('error', () => {}) // the program need not read it
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { code, ...output }
}

let host: ChildProcess | undefined
let last: Promise<unknown> = Promise.resolve()

async function ask(job: Job): Promise<Outcome> {
  host ??= fork(join(import.meta.dirname, 'command-host.ts'), { env: inherited, execArgv: [] })
  const running = host
  running.ref()
  running.channel?.ref()
  const listening = new AbortController()
  const { signal } = listening
  try {
    running.send(job)
    const [outcome] = await Promise.race([
      once(running, 'message', { signal }),
      once(running, 'exit', { signal }).then(([code, killedBy]) => {
        host = undefined
        throw new Error(`the process that runs commands ended (${code ?? killedBy}) at: postern ${job.args.join(' ')}`)
      }),
    ])
    return outcome
  } finally {
    listening.abort()
    running.unref() // an idle one keeps no worker from ending
    running.channel?.unref()
  }
}

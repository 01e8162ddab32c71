import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { inherited } from '../../support/inherited.ts'

const repository = join(import.meta.dirname, '..', '..', '..')
const longestMs = 240_000

/** A server in its own process, with everything that it writes. */
export type Server = {
  pid: number
  output: string[]
  /** Resolves when the server reports that it is ready; rejects when it ends before that. */
  ready(): Promise<void>
  kill(signal: NodeJS.Signals): void
  /** Resolves when the server has ended, with everything it wrote. */
  ended(): Promise<string>
}

/** Starts a server. `args` are added to its command line, and `options` are for Node. */
export function startServer(
  env: Record<string, string>,
  { args = [], options = [] }: { args?: string[]; options?: string[] } = {},
): Server {
  const child = spawn(process.execPath, [...options, 'src/main.ts', ...args], {
    cwd: repository,
    env: { ...inherited, ...env },
  })
  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => output.push(chunk))
  }
  const ended = once(child, 'close').then(() => output.join(''))
  const kill = () => child.kill('SIGKILL')
  process.on('exit', kill)
  const patience = setTimeout(kill, longestMs)
  void ended.then(() => {
    process.off('exit', kill)
    clearTimeout(patience)
  })
  return {
    pid: Number(child.pid),
    output,
    async ready() {
      const isReady = () => output.join('').includes('Postern is ready')
      await new Promise<void>((resolve, reject) => {
        const look = () => isReady() && resolve()
        child.stdout.on('data', look)
        child.on('close', () => reject(new Error(`the server did not start:\n${output.join('')}`)))
        look()
      })
    },
    kill: (signal) => child.kill(signal),
    ended: () => ended,
  }
}

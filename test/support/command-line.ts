import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { inherited } from './inherited.ts'

const repository = join(import.meta.dirname, '..', '..')

export type Outcome = { code: number | null; stdout: string; stderr: string }

/** Runs `postern` as a shell without a terminal does: as a process of its own, with only this environment. */
export async function postern(
  args: string[],
  { env, input = '', cwd = repository }: { env: Record<string, string>; input?: string; cwd?: string },
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

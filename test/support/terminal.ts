import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { inherited } from './inherited.ts'

const repository = join(import.meta.dirname, '..', '..')
const program = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'

/**
 * Runs `postern` at a terminal, and types `answer` once it asks a question. Returns what the person sees in `shown`.
 */
export async function atTerminal(
  args: string[],
  { env, answer }: { env: Record<string, string>; answer: string },
): Promise<{ code: number | null; shown: string }> {
  const command = [process.execPath, join(repository, 'src/cli.ts'), ...args]
  const child = spawn('python3', ['-c', program, ...command], { env: { ...inherited, ...env } })
  let shown = ''
  let isAnswered = false
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk
    if (isAnswered || !shown.includes('[y/N]')) return
    isAnswered = true
    child.stdin.write(answer)
  })
  const [code] = await once(child, 'close')
  return { code, shown }
}

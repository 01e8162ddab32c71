// Runs `postern` many times in one process, each time as if it were the only one, and writes the outputs as JSON to
// file descriptor 3. Log lines go to their usual destination.
import { writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'

type Command = { args: string[]; env?: Record<string, string>; input?: string }

const commands = JSON.parse(await text(process.stdin)) as Command[]
const outcomes: { args: string[]; code: number; stdout: string; stderr: string }[] = []
const exit = process.exit.bind(process)

process.exit = (code) => {
  process.exitCode = Number(code)
  throw new Error('This is where the process ends.')
}
for (const [index, { args, env = {}, input = '' }] of commands.entries()) {
  Object.assign(process.env, env)
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(input)]), configurable: true })
  const outcome = { args, code: 0, stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].write = (chunk: string | Uint8Array) => {
      outcome[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8')
      return true
    }
  }
  process.argv = [process.execPath, 'postern', ...args]
  process.exitCode = 0
  await import(`../../../src/cli.ts?${index}`) // the query makes it a new module, which runs again
  outcomes.push({ ...outcome, code: Number(process.exitCode) })
}
writeFileSync(3, JSON.stringify(outcomes))
exit(0)

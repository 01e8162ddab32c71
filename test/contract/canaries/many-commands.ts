// Runs `postern` many times in one process, each time as if it were the only one, and writes the outputs as JSON to
// file descriptor 3. Log lines go to their usual destination.
import { writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { type Outcome, runCommand } from '../../support/run-command.ts'

type Command = { args: string[]; env?: Record<string, string>; input?: string }

const commands = JSON.parse(await text(process.stdin)) as Command[]
const outcomes: (Outcome & { args: string[] })[] = []
for (const { args, env = {}, input = '' } of commands) {
  Object.assign(process.env, env)
  outcomes.push({ args, ...(await runCommand({ args, input })) })
}
writeFileSync(3, JSON.stringify(outcomes))
process.exit(0)

// Runs `postern` as often as the tests of one worker ask it to, each time in the environment and folder of that command.
import { inherited } from './inherited.ts'
import { type Call, runCommand } from './run-command.ts'

export type Job = Call & { env: Record<string, string>; cwd: string }

process.on('message', async ({ env, cwd, ...call }: Job) => {
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, inherited, env)
  process.chdir(cwd)
  process.send?.(await runCommand(call))
})

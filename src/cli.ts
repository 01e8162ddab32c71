#!/usr/bin/env node
import './runtime.ts'
import { userInfo } from 'node:os'
import { OperationError } from './admin/operation.ts'
import { version } from './assemble/version.ts'
import { commands, findCommand } from './cli/commands.ts'
import { listOf } from './cli/help.ts'
import { runCommand } from './cli/run-command.ts'
import type { Session } from './cli/session.ts'
import { optionOf, suggestion, Usage } from './cli/usage.ts'
import { type Config, InvalidConfiguration, misspelt, parse } from './config/index.ts'
import { databaseFailure } from './database/failures.ts'
import { createLogger } from './log/index.ts'

async function run(args: string[]): Promise<void> {
  const [first, second] = args
  if (first === '--version' || first === '-v') return console.log(version)
  if (first === 'help' && second !== undefined) return await run([...args.slice(1), '--help'])
  if (!first || first === 'help' || isHelp(first)) return console.log(overview())
  const all = commands()
  const found = findCommand(args, all)
  if (found) return await runCommand(found.command, args.slice(found.length), session())

  const nouns = [...new Set(all.map(({ name }) => name.split(' ')[0] ?? ''))]
  const verbs = all.flatMap(({ name }) => (name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : []))
  if (verbs.length === 0)
    throw new Usage(`There is no such command.${suggestion(first, nouns)}\n\nThis lists all commands: postern --help`)
  if (args.some(isHelp)) return console.log(overview(first))
  const meant = second === undefined ? '' : suggestion(second, verbs)
  throw new Usage(`"${first}" needs one of: ${verbs.join(', ')}.${meant}`)
}

const isHelp = (argument: string) => argument === '--help' || argument === '-h'

function session(): Session {
  return {
    env: process.env,
    by: { actor: `operator:${userInfo().username}` },
    settings,
    async withPostern(work) {
      const { assemble } = await import('./assemble/index.ts') // only now: help and mistakes need no server
      const postern = await assemble(settings(), { log: createLogger('silent'), mustExist: true })
      try {
        return await work(postern)
      } finally {
        await postern.close()
      }
    },
  }
}

function settings(): Config {
  const config = parse(process.env)
  for (const { name, meant } of misspelt(process.env)) {
    console.error(`${name} is not a setting. Did you mean ${meant}?`) // not on standard output, which a program may read
  }
  return config
}

/** Lists all commands, or those of one noun. */
function overview(noun?: string): string {
  const shown = commands().filter(({ name }) => noun === undefined || name.startsWith(`${noun} `))
  return [
    `Postern ${version}, a self-hosted OpenID Provider.`,
    '',
    listOf(
      shown.map(({ name, summary }) => [`postern ${name}`, summary]),
      process.stdout.columns,
    ),
    '',
    'Add --help to a command for its options. Settings come from the environment; postern config shows them.',
  ].join('\n')
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  const isExpected = error instanceof Usage || error instanceof InvalidConfiguration || error instanceof OperationError
  const field =
    error instanceof OperationError && error.refusal.field !== undefined ? `--${optionOf(error.refusal.field)}: ` : ''
  const failure = isExpected ? undefined : databaseFailure(error)
  console.error(failure ?? (error instanceof Error ? field + error.message : error))
  process.exitCode = isExpected ? 2 : 1
}

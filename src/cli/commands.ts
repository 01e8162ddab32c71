import type { Operation } from '../admin/operation.ts'
import { operations } from '../admin/operations/index.ts'
import { describe } from '../config/index.ts'
import { createLogger } from '../log/index.ts'
import { unseen } from '../log/progress.ts'
import { importCommand } from './account-import.ts'
import { applyCommand } from './apply.ts'
import type { Command } from './command.ts'
import { doctor } from './doctor/index.ts'
import { exportCommand } from './export.ts'
import { ldapTry } from './ldap-try.ts'
import { commandOf } from './operation-command.ts'
import { secretsCommands } from './secrets.ts'

const fromEnvironment = 'Settings come from the environment. docs/configuration.md lists them.'

const start: Command = {
  name: 'start',
  summary: 'Start the server',
  notes: fromEnvironment,
  options: {},
  async run(_, { env }) {
    const { main } = await import('../main.ts') // a start needs far more modules than a list of the commands
    await main(env)
  },
}

const migrate: Command = {
  name: 'migrate',
  summary: 'Bring the database schema up to date',
  notes: fromEnvironment,
  options: {},
  async run(_, { settings }) {
    const { openDatabase } = await import('../assemble/prepare.ts')
    const { migrate: applyMigrations } = await import('../database/migrate.ts')
    const log = createLogger('silent')
    const toldBy = { log, onStatement: undefined, mustExist: false, step: unseen, signal: undefined }
    const database = await openDatabase({ ...settings(), MIGRATE_ON_START: true }, toldBy)
    try {
      const applied = await applyMigrations(database.db)
      const outcome = applied.length > 0 ? `Applied: ${applied.join(', ')}` : 'The schema is up to date.'
      process.stdout.write(`${outcome}\n`)
    } finally {
      await database.close()
    }
  },
}

const config: Command = {
  name: 'config',
  summary: 'Show the effective settings, with secrets masked',
  options: {},
  run: async (_, { settings }) => void process.stdout.write(`${describe(settings())}\n`),
}

/** Returns the command of an operation. The import reads a file, and calls its operation for a part of it at a time. */
function commandFor(operation: Operation): Command {
  const command = commandOf(operation)
  return command.name === importCommand.name ? importCommand : command
}

/** Lists every command, in the order of the overview. */
export function commands(): readonly Command[] {
  const ofOperations = operations().map(commandFor)
  const explain = ofOperations
    .filter(({ name }) => name === 'request explain')
    .map((command) => ({
      ...command,
      name: 'explain',
      summary: 'Explain why a request was rejected, by its ID; short for request explain',
    }))
  return [
    start,
    migrate,
    config,
    doctor,
    ...explain,
    ldapTry,
    applyCommand,
    exportCommand,
    ...secretsCommands,
    ...ofOperations,
  ]
}

/**
 * Finds the command that words call, and the number of words that are its name. A noun with a single verb needs no verb:
 * `audit` means `audit list`.
 */
export function findCommand(
  words: readonly string[],
  all = commands(),
): { command: Command; length: number } | undefined {
  const named = (length: number) => all.find(({ name }) => name === words.slice(0, length).join(' '))
  const [noun = '', verb] = words
  for (const length of [2, 1]) {
    const command = words.length >= length ? named(length) : undefined
    if (command) return { command, length }
  }
  const [only, ...others] = all.filter(({ name }) => name.startsWith(`${noun} `))
  return only && others.length === 0 && (verb === undefined || verb.startsWith('-'))
    ? { command: only, length: 1 }
    : undefined
}

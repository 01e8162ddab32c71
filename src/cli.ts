#!/usr/bin/env node
import './runtime.ts'
import { userInfo } from 'node:os'
import { parseArgs } from 'node:util'
import type { z } from 'zod'
import { execute as executeOperation } from './admin/execute.ts'
import { type Operation, Refusal } from './admin/operation.ts'
import { operations } from './admin/operations.ts'
import { descriptionsOf, fromText } from './admin/text.ts'
import { run as apply } from './cli/apply.ts'
import { run as exportAll } from './cli/export.ts'
import * as secrets from './cli/secrets.ts'
import type { Session } from './cli/session.ts'
import { confirm, readSecret } from './cli/terminal.ts'
import { asksForHelp, misuse, suggestion, Usage } from './cli/usage.ts'
import { inPlainWords } from './config/plain-words.ts'
import { type Config, describe, InvalidConfiguration, misspelt, parse } from './config.ts'
import { migrate } from './database/migrate.ts'
import { open } from './database/open.ts'
import { createLogger } from './log.ts'
import { main as start } from './main.ts'
import { assemble, version } from './server.ts'

type Command = { summary: string; run: (args: string[]) => Promise<void> }

const commands: Record<string, Command> = {
  start: withoutOptions('start', 'Start the server', () => start(process.env)),
  migrate: withoutOptions('migrate', 'Bring the database schema up to date', migrateDatabase),
  config: withoutOptions('config', 'Show the effective settings, secrets masked', showConfig),
  explain: {
    summary: 'Say why a request was refused, by its id: the same as request explain',
    run: (args) => run(['request', 'explain', ...args]),
  },
  apply: {
    summary: 'Bring policies, resources and clients to the state of a file',
    run: (args) => apply(args, session()),
  },
  export: { summary: 'Write such a file of what there is, without secrets', run: (args) => exportAll(args, session()) },
  'secrets rotate': {
    summary: 'Encrypt everything under the first encryption key, while the server runs',
    run: (args) => secrets.rotate(args, session()),
  },
  'secrets list': {
    summary: 'Show the encryption keys by their ids, and how much is under each',
    run: (args) => secrets.list(args, session()),
  },
}

function withoutOptions(name: string, summary: string, perform: () => Promise<void>): Command {
  const text = `postern ${name}: ${summary}.\n\n  It has no options: settings come from the environment.`
  return {
    summary,
    run: async (args) => (asksForHelp(args, text) ? console.log(text) : await perform()),
  }
}

/** The settings of a command, which tells on standard error what was probably misspelt: its output may be read by a program. */
function settings(): Config {
  const config = parse(process.env)
  for (const { name, meant } of misspelt(process.env)) {
    console.error(`${name} is no setting. Did you mean ${meant}?`)
  }
  return config
}

async function migrateDatabase(): Promise<void> {
  const database = await open(settings(), { onError: () => {} }, () => {})
  try {
    const applied = await migrate(database.db)
    console.log(applied.length > 0 ? `Applied: ${applied.join(', ')}` : 'The schema is up to date.')
  } finally {
    await database.close()
  }
}

async function showConfig(): Promise<void> {
  console.log(describe(settings()))
}

async function run(args: string[]): Promise<void> {
  const [first, second, ...rest] = args
  if (first === '--version' || first === '-v') return console.log(version)
  if (first === 'help' && second !== undefined) return await run([...args.slice(1), '--help'])
  if (!first || first === 'help' || isHelp(first)) return console.log(overview())
  const command = commands[first]
  if (command) return await command.run(args.slice(1))
  const commandOfTwo = commands[`${first} ${second}`]
  if (commandOfTwo) return await commandOfTwo.run(rest)

  const verbs = verbsOf(first)
  if (verbs.length === 0) throw new Usage(`There is no such command.${suggestion(first, nouns())}\n\n${overview()}`)
  const ofNoun = operations().filter(({ noun }) => noun === first)
  const named = ofNoun.find(({ verb }) => verb === second)
  // `postern audit` has but one thing to do.
  const found = named ?? (ofNoun.length === 1 && (!second || second.startsWith('-')) ? ofNoun[0] : undefined)
  if (!found) {
    if (args.some(isHelp)) return console.log(overview(first))
    const meant = second === undefined ? '' : suggestion(second, verbs)
    throw new Usage(`"${first}" needs one of: ${verbs.join(', ')}.${meant}`)
  }
  const options = named ? rest : args.slice(1)
  if (options.some(isHelp)) return console.log(help(found))
  await execute(found, options)
}

const isHelp = (argument: string) => argument === '--help' || argument === '-h'
/** Every command with what it does. */
const summaries = () => [
  ...Object.entries(commands).map(([name, { summary }]) => [name, summary] as const),
  ...operations().map(({ noun, verb, summary }) => [`${noun} ${verb}`, summary] as const),
]
const nouns = () => [...new Set(summaries().map(([name]) => name.split(' ')[0] ?? ''))]
const verbsOf = (noun: string) =>
  summaries().flatMap(([name]) => (name.startsWith(`${noun} `) ? [name.slice(noun.length + 1)] : []))

async function execute(operation: Operation, args: string[]): Promise<void> {
  const { given, isAgreed } = readOptions(operation, args)
  const values = fromText(operation.input, given)
  const asked = fieldsOf(operation)
    .filter(([name, schema]) => values[name] === undefined && schema.meta()?.['secret'])
    .map(([name]) => name)
  assertFits(operation, values, asked) // before anybody types a secret for nothing
  for (const name of asked) values[name] = await readSecret(name)
  assertFits(operation, values)
  if (operation.isDestructive && !isAgreed && !(await isWanted(operation, values))) {
    console.error('Nothing was changed.')
    process.exitCode = 1
    return
  }
  const { by, withPostern } = session()
  const output = await withPostern((postern) => executeOperation(operation, postern, values, by))
  console.log(JSON.stringify(output, null, 2))
}

/** Asks whoever is at a terminal. A script has nobody to ask, and goes on. */
async function isWanted({ summary }: Operation, values: Record<string, unknown>): Promise<boolean> {
  if (!process.stdin.isTTY) return true
  if (!process.stderr.isTTY) throw new Usage('This asks first, and its question would not be seen. Add --yes.')
  const of = Object.values(values).map((value) => JSON.stringify(value)) // quoted: it may have control characters
  return await confirm(`${summary}: ${of.join(', ')}. It cannot be undone. Go on?`)
}

function assertFits(operation: Operation, values: Record<string, unknown>, except: readonly string[] = []): void {
  const { error } = operation.input.safeParse(values, { error: inPlainWords })
  const issues = error?.issues.filter(({ path }) => !except.includes(String(path[0]))) ?? []
  if (issues.length === 0) return
  const lines = issues.map(({ path, message }) => `  --${optionOf(path.join('.'))}: ${message}`)
  throw new Usage(`${lines.join('\n')}\n\n${help(operation)}`)
}

function session(): Session {
  return {
    env: process.env,
    by: { actor: `operator:${userInfo().username}` },
    async withPostern(work) {
      const postern = await assemble(settings(), { log: createLogger('silent'), mustExist: true })
      try {
        return await work(postern)
      } finally {
        await postern.close()
      }
    },
  }
}

/** Fields are spelled as in the specifications, options as at a command line: `redirect_uris`, `--redirect-uris`. */
const optionOf = (name: string) => name.replaceAll('_', '-')
const fieldsOf = ({ input }: Operation) => Object.entries(input.shape) as [string, z.ZodType][]

type Given = Record<string, string | string[] | undefined>

function readOptions(operation: Operation, args: string[]): { given: Given; isAgreed: boolean } {
  const names = fieldsOf(operation).map(([name]) => name)
  const options = {
    ...Object.fromEntries(names.map((name) => [optionOf(name), { type: 'string', multiple: true }] as const)),
    ...(operation.isDestructive && { yes: { type: 'boolean', short: 'y' } as const }),
  }
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true })
    const texts = values as Record<string, string[] | undefined>
    const given: Given = Object.fromEntries(
      names.map((name) => {
        const list = texts[optionOf(name)]
        return [name, list?.length === 1 ? list[0] : list]
      }),
    )
    // Other users of a machine can read the arguments of all programs on it, and shells keep them.
    const secret = fieldsOf(operation).find(([name, schema]) => schema.meta()?.['secret'] && given[name] !== undefined)
    if (secret) {
      throw new Usage(
        `--${optionOf(secret[0])}: is not taken as an argument, which others could read. Leave it out: it is asked for then, or read from standard input.`,
      )
    }
    // `client delete abc` reads better than `client delete --client-id abc`: the first option may go without its name.
    const [first] = names
    if (positionals.length > 0 && first !== undefined) given[first] ??= positionals[0]
    if (positionals.length > 1) throw new Usage(`There is a word too many.\n\n${help(operation)}`) // it may be a secret
    return { given, isAgreed: 'yes' in values }
  } catch (error) {
    if (error instanceof Usage) throw error
    throw new Usage(`${misuse(error, options)}\n\n${help(operation)}`)
  }
}

/** All commands, or those of one noun. */
function overview(noun?: string): string {
  const lines = summaries().filter(([name]) => noun === undefined || name.startsWith(`${noun} `))
  const width = Math.max(...lines.map(([name]) => name.length))
  return [
    `Postern ${version}, a self-hosted OpenID Provider.`,
    '',
    ...lines.map(([name, summary]) => `  postern ${name.padEnd(width)}  ${summary}`),
    '',
    'Add --help to a command for its options. Settings come from the environment: postern config.',
  ].join('\n')
}

function help(operation: Operation): string {
  const { noun, verb, summary } = operation
  const descriptions = descriptionsOf(operation.input)
  const options: [string, string][] = fieldsOf(operation).map(([name, schema]) => {
    const place = schema.meta()?.['secret'] ? ' It is asked for, or read from standard input, and no argument.' : ''
    return [`--${optionOf(name)}`, `${descriptions[name] ?? ''}${place}`]
  })
  if (operation.isDestructive) {
    options.push(['-y, --yes', 'Do not ask first. Where there is no terminal to ask at, it is done without asking.'])
  }
  const width = Math.max(0, ...options.map(([name]) => name.length))
  const lines = options.map(([name, description]) => `  ${name.padEnd(width)}  ${description}`)
  return [`postern ${noun} ${verb}: ${summary}.`, ...(lines.length > 0 ? ['', ...lines] : [])].join('\n')
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  const isExpected = error instanceof Usage || error instanceof InvalidConfiguration || error instanceof Refusal
  const field = error instanceof Refusal && error.field !== undefined ? `--${optionOf(error.field)}: ` : ''
  console.error(error instanceof Error ? field + error.message : error)
  process.exitCode = isExpected ? 2 : 1
}

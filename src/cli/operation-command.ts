import type { z } from 'zod'
import { execute } from '../admin/execute.ts'
import type { Operation } from '../admin/operation.ts'
import { fromText, optionsOf } from '../admin/text.ts'
import { inPlainWords } from '../config/plain-words.ts'
import { styleFor } from '../log/style.ts'
import type { Command, Given, Option } from './command.ts'
import { groupOf } from './groups.ts'
import { misuseOf } from './help.ts'
import type { Session } from './session.ts'
import { asText } from './tables.ts'
import { confirm, readSecret } from './terminal.ts'
import { optionOf, Usage } from './usage.ts'

const json: Option = { description: 'Show JSON, as where there is no terminal.', group: 'Output' }
const yes: Option = {
  short: 'y',
  description: 'Do not ask first. Where there is no terminal to ask at, it is done without asking.',
}

/** The command of an operation: its input are the options, its output is shown. */
export function commandOf(operation: Operation): Command {
  const { noun, verb, summary, input, isDestructive } = operation
  const [first] = Object.keys(input.shape)
  const command: Command = {
    name: `${noun} ${verb}`,
    summary,
    options: { ...optionsFor(operation), ...(isDestructive && { yes }), json },
    ...(first !== undefined && { operand: optionOf(first) }),
    run: (given, session) => perform(operation, command, given, session),
  }
  return command
}

function optionsFor({ input }: Operation): Record<string, Option> {
  const fields = Object.entries(optionsOf(input))
  return Object.fromEntries(
    fields.map(([name, { description, value, isRequired }]) => {
      const isSecret = isSecretIn(input, name)
      const place = isSecret ? ' It is asked for, or read from standard input, and no argument.' : ''
      const group = fields.length > 12 ? groupOf(name) : undefined
      const option: Option = {
        description: `${description}${place}`,
        value,
        isRequired: isRequired && !isSecret,
        isSecret,
        ...(group && { group }),
      }
      return [optionOf(name), option]
    }),
  )
}

async function perform(operation: Operation, command: Command, given: Given, session: Session): Promise<void> {
  const { input } = operation
  const names = Object.keys(input.shape)
  const values = fromText(
    input,
    Object.fromEntries(names.map((name) => [name, given[optionOf(name)] as string | readonly string[] | undefined])),
  )
  const asked = names.filter((name) => values[name] === undefined && isSecretIn(input, name))
  assertFits(operation, command, values, asked) // before anybody types a secret for nothing
  for (const name of asked) values[name] = await readSecret(name)
  assertFits(operation, command, values)
  if (operation.isDestructive && !given['yes'] && !(await isWanted(operation, values))) {
    process.stderr.write('Nothing was changed.\n')
    process.exitCode = 1
    return
  }
  const output = await session.withPostern((postern) => execute(operation, postern, values, session.by))
  const { isTTY, columns } = process.stdout
  const width = columns || 80 // a terminal that does not know says 0
  const style = styleFor(process.stdout, session.env)
  const isRead = isTTY && !given['json']
  process.stdout.write(
    isRead ? asText(output, { width, style, columns: operation.columns }) : `${JSON.stringify(output, null, 2)}\n`,
  )
}

/** Asks whoever is at a terminal. A script has nobody to ask, and goes on. */
async function isWanted({ summary }: Operation, values: Record<string, unknown>): Promise<boolean> {
  if (!process.stdin.isTTY) return true
  if (!process.stderr.isTTY) throw new Usage('This asks first, and its question would not be seen. Add --yes.')
  const of = Object.values(values).map((value) => JSON.stringify(value)) // quoted: it may have control characters
  return await confirm(`${summary}: ${of.join(', ')}. It cannot be undone. Go on?`)
}

function assertFits(
  { input }: Operation,
  command: Command,
  values: Record<string, unknown>,
  except: readonly string[] = [],
): void {
  const { error } = input.safeParse(values, { error: inPlainWords })
  const issues = error?.issues.filter(({ path }) => !except.includes(String(path[0]))) ?? []
  if (issues.length === 0) return
  const lines = issues.map(({ path, message }) => `  --${optionOf(path.join('.'))}: ${message}`)
  throw new Usage(misuseOf(command, lines.join('\n')))
}

const isSecretIn = (input: z.ZodObject, name: string) =>
  (input.shape[name] as z.ZodType | undefined)?.meta()?.['secret'] === true

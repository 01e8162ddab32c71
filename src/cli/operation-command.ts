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

const json: Option = { description: 'Show JSON, which is the default without a terminal.', group: 'Output' }
const yes: Option = {
  short: 'y',
  description: 'Do not ask for confirmation. Without a terminal, the command never asks.',
}

/** Creates the command of an operation. The input fields are its options, and it shows the output. */
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
      const place = isSecret ? ' It is never an argument: the command asks for it or reads it from standard input.' : ''
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
  assertFits(operation, command, values, asked) // first, so that nobody types a secret in vain
  for (const name of asked) values[name] = await readSecret(name)
  assertFits(operation, command, values)
  if (operation.isDestructive && !given['yes'] && !(await isWanted(operation, values))) {
    process.stderr.write('Nothing was changed.\n')
    process.exitCode = 1
    return
  }
  const output = await session.withPostern((postern) => execute(operation, postern, values, session.by))
  const { isTTY, columns } = process.stdout
  const width = columns || 80 // a terminal that does not know its width reports 0
  const style = styleFor(process.stdout, session.env)
  const isRead = isTTY && !given['json']
  process.stdout.write(
    isRead ? asText(output, { width, style, columns: operation.columns }) : `${JSON.stringify(output, null, 2)}\n`,
  )
}

/** Asks the person at the terminal for confirmation. A script has nobody to ask, so it continues. */
async function isWanted({ summary }: Operation, values: Record<string, unknown>): Promise<boolean> {
  if (!process.stdin.isTTY) return true
  if (!process.stderr.isTTY) {
    throw new Usage('This command asks for confirmation, but nobody would see the question. Add --yes.')
  }
  const of = Object.values(values).map((value) => JSON.stringify(value)) // quoted, because it may have control characters
  return await confirm(`${summary}: ${of.join(', ')}. This cannot be undone. Continue?`)
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

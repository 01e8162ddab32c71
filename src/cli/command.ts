import { parseArgs } from 'node:util'
import { helpOf, misuseOf } from './help.ts'
import type { Session } from './session.ts'
import { misuse, Usage } from './usage.ts'

/** An option of a command, as its help shows it and its arguments are read. */
export type Option = {
  description: string
  /** What its value is, as the help calls it. A switch has none. */
  value?: string
  short?: string
  isRequired?: boolean
  isRepeatable?: boolean
  /** Asked for or read from standard input, because other users of a machine can read the arguments of all programs. */
  isSecret?: boolean
  /** What it belongs to, where there are many. */
  group?: string
}

/** What was given of the options of a command, by their names. */
export type Given = Readonly<Record<string, string | readonly string[] | boolean | undefined>>

/** A command of the command line. */
export type Command = {
  /** The words it is called by: `start`, `account create`. */
  name: string
  /** Begins with a verb and ends without a period. */
  summary: string
  notes?: string
  options: Readonly<Record<string, Option>>
  /** The option that may be given without its name: `client delete abc` reads better than with `--client-id abc`. */
  operand?: string
  run(given: Given, session: Session): Promise<void>
}

/** Runs a command with its arguments, or shows its help. */
export async function runCommand(command: Command, args: readonly string[], session: Session): Promise<void> {
  const given = readArguments(command, args)
  if (given['help']) process.stdout.write(`${helpOf(command, process.stdout.columns)}\n`)
  else await command.run(given, session)
}

/**
 * Reads the arguments of a command.
 *
 * @throws Usage when there is something in them that it does not have.
 */
export function readArguments(command: Command, args: readonly string[]): Given {
  const { options, operand } = command
  const known = {
    ...Object.fromEntries(
      Object.entries(options).map(([name, { value, short }]) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', multiple: value !== undefined, ...(short && { short }) },
      ]),
    ),
    help: { type: 'boolean', short: 'h' },
  } as const
  const misused = (problem: string) => new Usage(misuseOf(command, problem))
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: known, allowPositionals: true, strict: true })
    if (values['help']) return { help: true }
    const given: Record<string, string | string[] | boolean | undefined> = {}
    for (const [name, value] of Object.entries(values as Record<string, string[] | boolean>)) {
      if (options[name]?.isSecret) throw misused(secretAsArgument(name))
      given[name] = Array.isArray(value) && value.length === 1 && !options[name]?.isRepeatable ? value[0] : value
    }
    const [first, ...others] = positionals
    if (others.length > 0 || (first !== undefined && operand === undefined)) throw misused('There is a word too many.')
    if (first !== undefined && operand !== undefined) given[operand] ??= first
    return given
  } catch (error) {
    if (error instanceof Usage) throw error
    throw misused(misuse(error, known))
  }
}

const secretAsArgument = (name: string) =>
  `--${name}: is not taken as an argument, which others could read. Leave it out: it is asked for then, or read from standard input.`

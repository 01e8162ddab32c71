import { parseArgs } from 'node:util'
import { yesOrNo } from '../admin/text.ts'
import type { Command, Given } from './command.ts'
import { helpOf, misuseOf } from './help.ts'
import type { Session } from './session.ts'
import { misuse, Usage } from './usage.ts'

/** Runs a command with its arguments, or shows its help. */
export async function runCommand(command: Command, args: readonly string[], session: Session): Promise<void> {
  const given = readArguments(command, args)
  if (given['help']) process.stdout.write(`${helpOf(command, process.stdout.columns)}\n`)
  else await command.run(given, session)
}

/**
 * Reads the arguments of a command.
 *
 * @throws Usage if the arguments do not fit the command.
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
    const { values, positionals } = parseArgs({
      args: withSwitches(command, args),
      options: known,
      allowPositionals: true,
      strict: true,
    })
    if (values['help']) return { help: true }
    const given: Record<string, string | string[] | boolean | undefined> = {}
    for (const [name, value] of Object.entries(values as Record<string, string[] | boolean>)) {
      if (options[name]?.isSecret) throw misused(secretAsArgument(name))
      given[name] = Array.isArray(value) && value.length === 1 && !options[name]?.isRepeatable ? value[0] : value
    }
    const [first, ...others] = positionals
    if (others.length > 0 || (first !== undefined && operand === undefined))
      throw misused('There is one word too many.')
    if (first !== undefined && operand !== undefined) given[operand] ??= first
    return given
  } catch (error) {
    if (error instanceof Usage) throw error
    throw misused(misuse(error, known))
  }
}

/** Completes options that are true or false and are given without a value: `--email-verified` means true. */
function withSwitches({ options }: Command, args: readonly string[]): string[] {
  const isAnswer = (text: string | undefined) => text === 'true' || text === 'false'
  return args.map((argument, index) => {
    const isYes = options[argument.replace(/^--/, '')]?.value === yesOrNo && argument.startsWith('--')
    return isYes && !isAnswer(args[index + 1]) ? `${argument}=true` : argument
  })
}

const secretAsArgument = (name: string) =>
  `--${name}: is not accepted as an argument, which others could read. Leave it out. The command then asks for it or reads it from standard input.`

import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { closest } from '../config/suggestions.ts'

/** A mistake in how the command was called. */
export class Usage extends Error {
  override name = 'Usage'
}

/** What is wrong with arguments. What is out of place is not repeated: it may be a secret. */
export function misuse(error: unknown, options: ParseArgsOptionsConfig): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return 'There is a word too many.'
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return message
  const [, given = ''] = /'(-[^']*)'/.exec(message) ?? []
  const names = Object.keys(options).map((name) => `--${name}`)
  return `Unknown option '${given}'.${suggestion(given, names)}`
}

/** A sentence with the name that was probably meant, if one is close. */
export function suggestion(given: string, names: readonly string[]): string {
  const meant = closest(given, names)
  return meant === undefined ? '' : ` Did you mean ${meant}?`
}

const withHelp = { help: { type: 'boolean', short: 'h' } } as const

/** Whether a command without options is called for its help; it must not have other arguments. */
export function asksForHelp(args: string[], help: string): boolean {
  try {
    return parseArgs({ args, options: withHelp, strict: true }).values.help === true
  } catch (error) {
    throw new Usage(`${misuse(error, withHelp)}\n\n${help}`)
  }
}

import type { ParseArgsOptionsConfig } from 'node:util'
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

/** Fields are spelled as in the specifications, options as at a command line: `redirect_uris`, `--redirect-uris`. */
export const optionOf = (field: string): string => field.replaceAll('_', '-')

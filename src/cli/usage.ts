import type { ParseArgsOptionsConfig } from 'node:util'
import { closest } from '../config/suggestions.ts'

/** A mistake in the call of a command. */
export class Usage extends Error {
  override name = 'Usage'
}

/** Describes what is wrong with arguments. It does not repeat a misplaced value, which may be a secret. */
export function misuse(error: unknown, options: ParseArgsOptionsConfig): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return 'There is one word too many.'
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return message
  const [, given = ''] = /'(-[^']*)'/.exec(message) ?? []
  const names = Object.keys(options).map((name) => `--${name}`)
  return `Unknown option '${given}'.${suggestion(given, names)}`
}

/** Returns a sentence that suggests the most similar name, or '' if no name is similar enough. */
export function suggestion(given: string, names: readonly string[]): string {
  const meant = closest(given, names)
  return meant === undefined ? '' : ` Did you mean ${meant}?`
}

/** Returns the option of a field. Fields have the spelling of the specifications: `redirect_uris`, `--redirect-uris`. */
export const optionOf = (field: string): string => field.replaceAll('_', '-')

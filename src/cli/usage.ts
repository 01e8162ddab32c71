/** A mistake in how the command was called. */
export class Usage extends Error {
  override name = 'Usage'
}

/** What is wrong with arguments. What is out of place is not repeated: it may be a secret. */
export function misuse(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL' ? 'There is a word too many.' : message
}

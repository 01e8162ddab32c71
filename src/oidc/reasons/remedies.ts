/** Quotes a word for a shell, whatever it contains. */
export function quoted(word: string): string {
  return /^[\w.:/@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** Returns the command that sets an option of a client to these values. */
export function update(clientId: string, option: string, values: readonly string[]): string {
  const options = values.map((value) => `--${option} ${quoted(value)}`).join(' ')
  return `postern client update ${quoted(clientId)} ${options}`
}

/** A word as a shell takes it, whatever it has in it. */
export function quoted(word: string): string {
  return /^[\w.:/@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** The command that gives a client an option with these values. */
export function update(clientId: string, option: string, values: readonly string[]): string {
  const options = values.map((value) => `--${option} ${quoted(value)}`).join(' ')
  return `postern client update ${quoted(clientId)} ${options}`
}

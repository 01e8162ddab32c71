type Stream = { isTTY?: boolean }
type Environment = Readonly<Record<string, string | undefined>>

/** The ways to make text stand out on a terminal. Elsewhere, and with NO_COLOR (no-color.org), text stays as it is. */
export type Style = Record<keyof typeof codes, (text: string) => string>

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const

/** Returns the style for a stream. */
export function styleFor(stream: Stream, env: Environment): Style {
  const isColoured = stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  const entries = Object.entries(codes).map(([name, [begin, end]]) => [
    name,
    (text: string) => (isColoured ? `\u001b[${begin}m${text}\u001b[${end}m` : text),
  ])
  return Object.fromEntries(entries) as Style
}

// Names come from strangers. A terminal obeys control characters, and characters that turn the direction of text can
// mislead a reader.
const unprintable = /[\p{Cc}\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

/** Escapes every character that could do more to a terminal than appear on it. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

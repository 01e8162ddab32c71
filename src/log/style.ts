type Stream = { isTTY?: boolean }
type Environment = Readonly<Record<string, string | undefined>>

/** How text stands out on a terminal. Elsewhere, and where NO_COLOR says so (no-color.org), it is left as it is. */
export type Style = Record<keyof typeof codes, (text: string) => string>

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const

/** The style for what is written to a stream. */
export function styleFor(stream: Stream, env: Environment): Style {
  const isColoured = stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  const entries = Object.entries(codes).map(([name, [begin, end]]) => [
    name,
    (text: string) => (isColoured ? `\u001b[${begin}m${text}\u001b[${end}m` : text),
  ])
  return Object.fromEntries(entries) as Style
}

// Names come from strangers, and a terminal obeys control characters; what turns the direction of text can mislead a reader.
const unprintable = /[\p{Cc}\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

/** Text that does nothing to a terminal but to be read. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

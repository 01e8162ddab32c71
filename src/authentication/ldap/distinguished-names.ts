type Part = { type: string; value: string }

/**
 * Reads a distinguished name (RFC 4514 §3) as its parts, the lowest first; each may have several types with values.
 * `undefined` if the text is not one.
 */
export function parse(text: string): Part[][] | undefined {
  const names: Part[][] = []
  let parts: Part[] = []
  let rest = text
  for (;;) {
    const [whole, type = '', raw = '', separator = ''] =
      /^\s*([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)\s*=((?:\\.|[^\\,+;"<>])*)([,+;]|$)/s.exec(rest) ?? []
    const value = whole === undefined ? undefined : unescaped(raw)
    if (whole === undefined || value === undefined) return undefined
    parts.push({ type: type.toLowerCase(), value })
    if (separator !== '+') {
      names.push(parts)
      parts = []
    }
    rest = rest.slice(whole.length)
    if (separator === '') return names
  }
}

/** Returns the value of the lowest part of a distinguished name, such as the common name of a group. */
export function lowestValue(text: string): string | undefined {
  return parse(text)?.[0]?.[0]?.value
}

/** Returns whether one distinguished name is below another, however each is spelled. */
export function isBelow(text: string, base: string): boolean {
  const [name, top] = [parse(text)?.map(comparable), parse(base)?.map(comparable)]
  if (!name || !top || name.length <= top.length) return false
  return top.every((part, index) => part === name[name.length - top.length + index])
}

function comparable(parts: readonly Part[]): string {
  const each = parts.map(({ type, value }) => [type, value.toLowerCase().trim().replace(/\s+/g, ' ')])
  return JSON.stringify(each.sort())
}

/** Reads a value without its escapes. `undefined` if it is hexadecimal BER, which no name of a group is. */
function unescaped(raw: string): string | undefined {
  const text = raw.replace(/^\s+/, '').replace(/((?:^|[^\\])(?:\\\\)*\\\s)?\s*$/, '$1')
  if (text.startsWith('#')) return undefined
  const bytes: Buffer[] = []
  for (const [token] of text.matchAll(/\\[0-9A-Fa-f]{2}|\\.|[^\\]+/gs)) {
    if (/^\\[0-9A-Fa-f]{2}$/.test(token)) bytes.push(Buffer.from(token.slice(1), 'hex'))
    else bytes.push(Buffer.from(token.startsWith('\\') ? token.slice(1) : token))
  }
  return Buffer.concat(bytes).toString('utf8')
}

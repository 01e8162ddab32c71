import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'

/** A place inside a value: names of members, and indices in lists. */
export type Path = readonly PropertyKey[]

/** A text, and its name for error messages. */
export type Source = { name: string; text: string }

export type Document = {
  value: unknown
  /** Tells whether a path exists. */
  has(path: Path): boolean
  /** Returns the position of a member, or otherwise of the nearest existing thing around it. */
  positionOf(path: Path): Position
}

export type Position = { line: number; column: number }
export type Fault = { position: Position; message: string }

/** Parses YAML 1.2 (or JSON, which is YAML). Returns faults if it is invalid or has a member twice. */
export function parse({ text }: Source): Document | Fault[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, stringKeys: true, prettyErrors: false })
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) } // both are 0 in an empty text
  }
  const errors = [...document.errors, ...document.warnings].map(({ pos: [offset], code, message }) => ({
    position: at(offset),
    message: code === 'MULTIPLE_DOCS' ? 'there is more than one document' : withoutQuotation(message),
  }))
  visit(document, {
    Pair(_, { key }) {
      // Assigning __proto__ sets no member, so the schema would overlook it and not reject it.
      if (!isScalar(key) || key.value !== '__proto__') return
      errors.push({ position: at(key.range?.[0] ?? 0), message: '__proto__ cannot be a name' })
    },
  })
  if (errors.length > 0) return errors
  let value: unknown
  try {
    value = document.toJS()
  } catch (error) {
    return [{ position: at(0), message: withoutQuotation((error as Error).message) }] // it has too many aliases
  }

  const step = (node: unknown, name: PropertyKey) => {
    const within = isAlias(node) ? node.resolve(document) : node
    if (isMap(within)) {
      const pair = within.items.find(({ key }) => isScalar(key) && key.value === String(name))
      return pair && { node: pair.value, place: pair.key }
    }
    const item = isSeq(within) ? within.items[Number(name)] : undefined
    return item === undefined ? undefined : { node: item, place: item }
  }
  const walk = (path: Path) => {
    let node: unknown = document.contents
    let place: unknown = document.contents
    for (const [index, name] of path.entries()) {
      const next = step(node, name)
      if (!next) return { place, depth: index }
      node = next.node
      place = next.place
    }
    return { place, depth: path.length }
  }
  return {
    value,
    has: (path) => walk(path).depth === path.length,
    positionOf(path) {
      const { place } = walk(path)
      return at((place as { range?: [number, number, number] } | null)?.range?.[0] ?? 0)
    },
  }
}

/** Removes from a parser message what it quotes from the text, which may be a secret that somebody wrote without quotes. */
const withoutQuotation = (message: string) => message.replace(/: .*/s, '')

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'

/** Where in a value something is: names of members, and indices in lists. */
export type Path = readonly PropertyKey[]

/** A text, and what to call it when something in it is wrong. */
export type Source = { name: string; text: string }

export type Document = {
  value: unknown
  /** Whether there is something at a path. */
  has(path: Path): boolean
  /** Where the member is, or else the nearest thing around it that is there. */
  positionOf(path: Path): Position
}

export type Position = { line: number; column: number }
export type Fault = { position: Position; message: string }

/** Reads YAML 1.2 (or JSON, which is YAML), in which no member may be given twice. */
export function parse({ text }: Source): Document | Fault[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, stringKeys: true, prettyErrors: false })
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) } // of an empty text both are 0
  }
  const errors = [...document.errors, ...document.warnings].map(({ pos: [offset], code, message }) => ({
    position: at(offset),
    message: code === 'MULTIPLE_DOCS' ? 'there is more than one document' : withoutQuotation(message),
  }))
  visit(document, {
    Pair(_, { key }) {
      // What assigns it sets no member, so it would be overlooked rather than refused.
      if (!isScalar(key) || key.value !== '__proto__') return
      errors.push({ position: at(key.range?.[0] ?? 0), message: '__proto__ cannot be a name' })
    },
  })
  if (errors.length > 0) return errors
  let value: unknown
  try {
    value = document.toJS()
  } catch (error) {
    return [{ position: at(0), message: withoutQuotation((error as Error).message) }] // more aliases than a declaration can need
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

/** A message of the parser's without what it found: that is a secret of somebody who did not quote it. */
const withoutQuotation = (message: string) => message.replace(/: .*/s, '')

import { Document, isMap, isScalar } from 'yaml'

/** The declaration of one thing, with a comment. */
export type Entry = { name: string; members: Record<string, unknown>; comment?: string | undefined }

/** Writes a declaration as YAML, sorted by name and with empty lines between the entries. */
export function write(sections: Record<string, readonly Entry[]>, header: string): string {
  const value = new Map<string, unknown>([['version', 1]])
  const comments = new Map<string, string | undefined>()
  for (const [section, entries] of Object.entries(sections)) {
    const sorted = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    value.set(section, new Map(sorted.map(({ name, members }) => [name, members])))
    for (const { name, comment } of entries) comments.set(`${section} ${name}`, comment)
  }
  const document = new Document(value, { aliasDuplicateObjects: false })
  document.commentBefore = indented(header)
  for (const { key: section, value: entries } of pairsOf(document.contents)) {
    if (!isMap(entries)) continue
    section.spaceBefore = true
    for (const [index, { key }] of pairsOf(entries).entries()) {
      key.spaceBefore = index > 0
      const comment = comments.get(`${section.value} ${key.value}`)
      if (comment !== undefined) key.commentBefore = indented(comment)
    }
  }
  return document.toString({ lineWidth: 0 })
}

const indented = (text: string) => text.replace(/^/gm, ' ')

function pairsOf(node: unknown) {
  const items = isMap(node) ? node.items : []
  return items.flatMap(({ key, value }) => (isScalar(key) ? [{ key, value }] : []))
}

/**
 * Returns the name that was probably meant: the nearest one, if it is at most `most` edits away and at most one edit for
 * every three of its letters.
 */
export function closest(name: string, names: readonly string[], most = Number.POSITIVE_INFINITY): string | undefined {
  const near = names
    .map((candidate) => ({ candidate, edits: editsBetween(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, edits }) => edits <= Math.min(most, Math.max(1, Math.floor(candidate.length / 3))))
    .sort((a, b) => a.edits - b.edits)
  return near[0]?.candidate
}

/** Counts the letters to insert, leave out or replace to turn one name into the other (Levenshtein distance). */
function editsBetween(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1]
    for (let column = 1; column <= other.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (letter === other[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

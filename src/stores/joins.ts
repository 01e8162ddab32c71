/** A row of a joined table, with the column names that `joined` selects. All columns are null if the row is missing. */
export type Joined<Alias extends string, Row> = {
  [Column in keyof Row & string as `${Alias}_${Column}`]: Row[Column] | null
}

/** Selects columns of a joined table, each prefixed with the table's alias: `u.email as u_email`. */
export function joined(alias: string, columns: readonly string[]): string {
  return columns.map((column) => `${alias}.${column} as ${alias}_${column}`).join(', ')
}

/** Creates the reader of joined rows under their own column names. It returns `undefined` if the first column, the key, is null. */
export function joinedReader<Alias extends string, Row>(
  alias: Alias,
  columns: readonly (keyof Row & string)[],
): (row: Joined<Alias, Row>) => Row | undefined {
  const names = columns.map((column) => ({ column, selected: `${alias}_${column}` })) // once, since rows are read often
  const key = names[0]?.selected ?? ''
  return (row) => {
    const values = row as Record<string, unknown>
    if (values[key] === null) return undefined
    const read: Record<string, unknown> = {}
    for (const { column, selected } of names) read[column] = values[selected]
    return read as Row
  }
}

/** A row of a joined table, with the column names that `joined` selects. All columns are null if the row is missing. */
export type Joined<Alias extends string, Row> = {
  [Column in keyof Row & string as `${Alias}_${Column}`]: Row[Column] | null
}

/** Selects columns of a joined table, each prefixed with the table's alias: `u.email as u_email`. */
export function joined(alias: string, columns: readonly string[]): string {
  return columns.map((column) => `${alias}.${column} as ${alias}_${column}`).join(', ')
}

/** Reads a joined row under its own column names. `undefined` if the first column, its key, is null. */
export function joinedRow<Alias extends string, Row>(
  row: Joined<Alias, Row>,
  alias: Alias,
  columns: readonly (keyof Row & string)[],
): Row | undefined {
  const values = row as Record<string, unknown>
  if (values[`${alias}_${columns[0]}`] === null) return undefined
  return Object.fromEntries(columns.map((column) => [column, values[`${alias}_${column}`]])) as Row
}

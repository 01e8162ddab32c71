import type { TestDatabase } from './database.ts'

/** Returns all rows of all tables as one text. It is the same twice if nothing was written in between. */
export async function dumpOf(database: TestDatabase): Promise<string> {
  const [row] = await database.query("select schema_to_xml('public', true, false, '')::text as dump")
  return String(row?.['dump'])
}

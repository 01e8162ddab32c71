import { z } from 'zod'
import type { Envelope } from '../crypto/envelope.ts'
import type { Position } from '../stores/position.ts'
import { OperationError } from './operation.ts'

/** The input that every list has. */
export const listInput = {
  limit: z.int().min(1).max(1_000).default(100).describe('The maximum number of items.'),
  cursor: z.string().max(2_000).optional().describe('Where to continue: the next_cursor of the previous page.'),
}

/** Returns the output schema of a list. */
export function listOutput<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next_cursor: z.string().optional() })
}

/**
 * Reads one page of a list. It reads one row more than requested, and returns a cursor only if that row exists.
 *
 * A cursor is sealed and opens only for the list and the filter that it was created for. A cursor that was changed or
 * invented is rejected.
 */
export async function page<Row, Item>(
  envelope: Envelope,
  {
    list,
    cursor,
    limit,
    read,
    positionOf,
    show,
  }: {
    /** The name of the list and its filter. */
    list: string
    cursor: string | undefined
    limit: number
    read: (options: { after: Position | undefined; limit: number }) => Promise<Row[]>
    positionOf: (row: Row) => Position
    show: (row: Row) => Item
  },
): Promise<{ items: Item[]; next_cursor?: string }> {
  const identity = `cursor:${list}`
  const rows = await read({
    after: cursor === undefined ? undefined : open(envelope, cursor, identity),
    limit: limit + 1,
  })
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  if (rows.length <= limit || !last) return { items: shown.map(show) }
  const { at, id } = positionOf(last)
  return { items: shown.map(show), next_cursor: envelope.seal(JSON.stringify([at.getTime(), id]), identity) }
}

function open(envelope: Envelope, cursor: string, identity: string): Position {
  try {
    const [at, id] = JSON.parse(envelope.open(cursor, identity)) as [number, string]
    return { at: new Date(at), id }
  } catch {
    throw new OperationError('invalid', { field: 'cursor', message: 'is not a cursor of this list' })
  }
}

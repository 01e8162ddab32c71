import { z } from 'zod'
import type { Envelope } from '../crypto/envelope.ts'
import type { Position } from '../stores/position.ts'
import { OperationError } from './operation.ts'

/** What every list takes. */
export const listInput = {
  limit: z.int().min(1).max(1_000).default(100).describe('At most this many.'),
  cursor: z.string().max(2_000).optional().describe('Where to go on: the next_cursor of the list before.'),
}

/** What every list returns. */
export function listOutput<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next_cursor: z.string().optional() })
}

/**
 * A page of a list. One row more than asked for is read, so that there is a cursor only if something follows.
 *
 * A cursor is sealed, and opens only for the list and filter it was made for: what is changed in it, or made up,
 * is refused rather than interpreted.
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
    /** Names the list and what it was filtered by. */
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

import type { Db, Row } from '../../database/schema.ts'
import type { Position } from '../position.ts'

/** A refused request, with the reason. */
export type RefusedRequest = {
  requestId: string
  occurredAt: Date
  clientId: string | undefined
  method: string
  path: string
  status: number
  /** `error`, `reason`, and other details by name. */
  reason: Record<string, string | undefined>
}

const columns = ['request_id', 'occurred_at', 'client_id', 'method', 'path', 'status', 'reason'] as const

const keptMs = 3 * 86_400_000

export async function save(db: Db, requests: RefusedRequest[]): Promise<void> {
  await db
    .insertInto('refused_requests')
    .values(
      requests.map(({ requestId, occurredAt, clientId, method, path, status, reason }) => ({
        request_id: requestId,
        occurred_at: occurredAt,
        client_id: clientId ?? null,
        method,
        path,
        status,
        reason: JSON.stringify(reason),
        expires_at: new Date(occurredAt.getTime() + keptMs),
      })),
    )
    .onConflict((conflict) => conflict.column('request_id').doNothing())
    .execute()
}

export async function find(db: Db, requestId: string): Promise<RefusedRequest | undefined> {
  const row = await db
    .selectFrom('refused_requests')
    .select(columns)
    .where('request_id', '=', requestId)
    .executeTakeFirst()
  return row && toRequest(row)
}

/** Lists refused requests, the newest first, of all clients or one. */
export async function list(
  db: Db,
  { clientId, after, limit }: { clientId: string | undefined; after: Position | undefined; limit: number },
): Promise<RefusedRequest[]> {
  let query = db.selectFrom('refused_requests').select(columns)
  if (clientId !== undefined) query = query.where('client_id', '=', clientId)
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('occurred_at', 'request_id'), '<', tuple(after.at, after.id)),
    )
  }
  const rows = await query.orderBy('occurred_at', 'desc').orderBy('request_id', 'desc').limit(limit).execute()
  return rows.map(toRequest)
}

function toRequest(row: Row<'refused_requests', (typeof columns)[number]>): RefusedRequest {
  return {
    requestId: row.request_id,
    occurredAt: row.occurred_at,
    clientId: row.client_id ?? undefined,
    method: row.method,
    path: row.path,
    status: row.status,
    reason: row.reason as RefusedRequest['reason'],
  }
}

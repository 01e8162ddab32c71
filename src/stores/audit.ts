import type { Db } from '../database/schema.ts'

/** Something that happened and matters for security. Never holds a bearer value or a secret. */
export type AuditEvent = {
  type: string
  accountId?: string | undefined
  clientId?: string | undefined
  grantId?: string | undefined
  requestId?: string | undefined
  address?: string | undefined
  details?: Record<string, unknown>
}

/** Appends events; give a transaction to have them stand or fall with their effect. */
export async function append(db: Db, events: AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  const occurredAt = new Date()
  await db
    .insertInto('audit_events')
    .values(
      events.map((event) => ({
        occurred_at: occurredAt,
        type: event.type,
        account_id: event.accountId ?? null,
        client_id: event.clientId ?? null,
        grant_id: event.grantId ?? null,
        request_id: event.requestId ?? null,
        address: event.address ?? null,
        details: JSON.stringify(event.details ?? {}),
      })),
    )
    .execute()
}

/** The newest events first. */
export async function list(db: Db, { limit }: { limit: number }): Promise<(AuditEvent & { occurredAt: Date })[]> {
  const rows = await db
    .selectFrom('audit_events')
    .select(['occurred_at', 'type', 'account_id', 'client_id', 'grant_id', 'request_id', 'address', 'details'])
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    occurredAt: row.occurred_at,
    type: row.type,
    accountId: row.account_id ?? undefined,
    clientId: row.client_id ?? undefined,
    grantId: row.grant_id ?? undefined,
    requestId: row.request_id ?? undefined,
    address: row.address ?? undefined,
    details: row.details,
  }))
}

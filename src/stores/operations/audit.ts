import { CompiledQuery } from 'kysely'
import type { Db, Row, Tx } from '../../database/schema.ts'
import type { EventType } from './audit-events.ts'

/** An event that matters for security. It never contains a bearer value or a secret. */
export type AuditEvent = {
  type: EventType
  /** The actor, unless it is the account itself: `operator:name` on the command line, `client:id` in the admin API. */
  actor?: string | undefined
  accountId?: string | undefined
  clientId?: string | undefined
  /** The identifier of a resource server. */
  resource?: string | undefined
  grantId?: string | undefined
  requestId?: string | undefined
  address?: string | undefined
  details?: Record<string, unknown>
  /** Whether strangers can cause it as often as they like. It is then kept only for a limited time. */
  isByStranger?: boolean
}

/** An event without its performer, which only the caller of a function knows. */
export type UnattributedEvent = Omit<AuditEvent, 'actor' | 'address' | 'requestId'>

/** A transaction, with the function that adds an event to it. Both the change and its event are stored, or neither. */
export type AuditedTx = { tx: Tx; record(event: UnattributedEvent): void }

const strangersKeptMs = 30 * 86_400_000 // long enough to investigate an attack; throttling limits what a network can cause

/** Appends events. In a transaction, they are stored only if their effect is. */
export async function append(db: Db, events: AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  const occurredAt = new Date()
  await db
    .insertInto('audit_events')
    .values(
      events.map((event) => ({
        occurred_at: occurredAt,
        type: event.type,
        actor: event.actor ?? null,
        account_id: event.accountId ?? null,
        client_id: event.clientId ?? null,
        resource: event.resource ?? null,
        grant_id: event.grantId ?? null,
        request_id: event.requestId ?? null,
        address: event.address ?? null,
        details: JSON.stringify(event.details ?? {}),
        expires_at: event.isByStranger ? new Date(occurredAt.getTime() + strangersKeptMs) : null,
      })),
    )
    .execute()
}

/** A recorded event, with the current names of its account and client. */
export type RecordedEvent = AuditEvent & {
  id: string
  occurredAt: Date
  email: string | undefined
  clientName: string | undefined
}

export type AuditFilter = Pick<AuditEvent, 'actor' | 'accountId' | 'clientId' | 'resource' | 'grantId'> & {
  type?: string | undefined
  since?: Date | undefined
  until?: Date | undefined
}

// biome-ignore format: it is a list
const columns = ['id', 'occurred_at', 'type', 'actor', 'account_id', 'client_id', 'resource', 'grant_id', 'request_id', 'address', 'details'] as const

type EventRow = Row<'audit_events', (typeof columns)[number]> & { email: string | null; client_name: string | null }

/** Lists the events that match a filter and precede the event `before`, newest first. */
export async function list(
  db: Db,
  { before, limit, ...filter }: AuditFilter & { before?: string | undefined; limit: number },
): Promise<RecordedEvent[]> {
  const conditions: [string, unknown][] = [
    ['audit_events.id <', before],
    ['audit_events.type =', filter.type],
    ['audit_events.actor =', filter.actor],
    ['audit_events.account_id =', filter.accountId],
    ['audit_events.client_id =', filter.clientId],
    ['audit_events.resource =', filter.resource],
    ['audit_events.grant_id =', filter.grantId],
    ['audit_events.occurred_at >=', filter.since],
    ['audit_events.occurred_at <', filter.until],
  ]
  const given = conditions.filter(([, value]) => value !== undefined)
  const where = given.map(([condition], index) => `${condition} $${index + 2}`)
  const text = `select ${columns.map((column) => `audit_events.${column}`).join(', ')}, accounts.email, clients.metadata->>'client_name' as client_name from audit_events
    left join accounts on accounts.id = audit_events.account_id
    left join clients on clients.id = audit_events.client_id
    ${where.length > 0 ? `where ${where.join(' and ')}` : ''} order by audit_events.id desc limit $1`
  const { rows } = await db.executeQuery<EventRow>(CompiledQuery.raw(text, [limit, ...given.map(([, value]) => value)]))
  return rows.map((row) => ({
    id: row.id,
    occurredAt: row.occurred_at,
    type: row.type as EventType,
    actor: row.actor ?? undefined,
    accountId: row.account_id ?? undefined,
    email: row.email ?? undefined,
    clientName: row.client_name ?? undefined,
    clientId: row.client_id ?? undefined,
    resource: row.resource ?? undefined,
    grantId: row.grant_id ?? undefined,
    requestId: row.request_id ?? undefined,
    address: row.address ?? undefined,
    details: row.details,
  }))
}

/** Lists the addresses of the last events that have one. */
export async function lastAddresses(db: Db, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('audit_events')
    .select('address')
    .where('address', 'is not', null)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.flatMap(({ address }) => address ?? [])
}

import { z } from 'zod'
import { closest } from '../../config/suggestions.ts'
import * as audit from '../../stores/operations/audit.ts'
import { eventTypeNames } from '../../stores/operations/audit-events.ts'
import { type Operation, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'
import { moment } from '../times.ts'

const shownEvent = z.object({
  id: z.string(),
  occurred_at: z.string(),
  type: z.string(),
  actor: z.string().optional(),
  account_id: z.string().optional(),
  email: z.string().optional().describe('The current address of the account.'),
  client_id: z.string().optional(),
  client_name: z.string().optional().describe('The current name of the client.'),
  resource: z.string().optional(),
  grant_id: z.string().optional(),
  address: z.string().optional(),
  request_id: z.string().optional(),
  details: z.record(z.string(), z.unknown()),
})

const filters = {
  type: z
    .enum(eventTypeNames, { error: ({ input }) => unknownType(String(input)) })
    .optional()
    .describe('Only events of this type, such as client.registered. docs/audit-events.md lists the types.'),
  actor: z
    .string()
    .optional()
    .describe('Only events that this actor caused: operator:NAME, client:ID or registration_token:ID.'),
  account_id: z.string().optional().describe('Only events about this account.'),
  client_id: z.string().optional().describe('Only events about this client.'),
  resource: z.string().optional().describe('Only events about the resource server with this identifier.'),
  grant_id: z.string().optional().describe('Only events about this grant.'),
  since: moment
    .optional()
    .describe('Only events at or after this moment: yesterday, 2 hours ago, 2027-01-31, or a date and time.'),
  until: moment.optional().describe('Only events before this moment, written the same way.'),
}

function unknownType(given: string): string {
  const meant = closest(given, eventTypeNames)
  return `is not a type of event.${meant ? ` Did you mean ${meant}?` : ''} docs/audit-events.md lists the types`
}

/** Lists the operation on the audit, the record of what happened. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'audit',
      verb: 'list',
      summary: 'List audit events, newest first',
      scope: 'postern:audit',
      http: { method: 'GET', path: '/audit' },
      input: z.strictObject({ ...filters, ...listInput }),
      output: listOutput(shownEvent),
      columns: ['occurred_at', 'type', 'actor', 'email', 'client_name', 'address'],
      run({ tx, storage }, { cursor, limit, ...given }) {
        const wanted = {
          type: given.type,
          actor: given.actor,
          accountId: given.account_id,
          clientId: given.client_id,
          resource: given.resource,
          grantId: given.grant_id,
          since: given.since?.at,
          until: given.until?.at,
        }
        const filter = { ...wanted, since: given.since?.text, until: given.until?.text }
        return page(storage.envelope, {
          list: `audit:${JSON.stringify(filter)}`,
          cursor,
          limit,
          read: ({ after, limit }) => audit.list(tx, { ...wanted, before: after?.id, limit }),
          positionOf: ({ occurredAt, id }) => ({ at: occurredAt, id }),
          show: (event) => ({
            id: event.id,
            occurred_at: event.occurredAt.toISOString(),
            type: event.type,
            actor: event.actor,
            account_id: event.accountId,
            email: event.email,
            client_id: event.clientId,
            client_name: event.clientName,
            resource: event.resource,
            grant_id: event.grantId,
            address: event.address,
            request_id: event.requestId,
            details: event.details ?? {},
          }),
        })
      },
    }),
  ]
}

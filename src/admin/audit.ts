import { z } from 'zod'
import * as audit from '../stores/audit.ts'
import { listInput, listOutput, page } from './lists.ts'
import { moment } from './moments.ts'
import { type Operation, operation } from './operation.ts'

const shownEvent = z.object({
  id: z.string(),
  occurred_at: z.string(),
  type: z.string(),
  actor: z.string().optional(),
  account_id: z.string().optional(),
  client_id: z.string().optional(),
  resource: z.string().optional(),
  grant_id: z.string().optional(),
  address: z.string().optional(),
  request_id: z.string().optional(),
  details: z.record(z.string(), z.unknown()),
})

const filter = {
  type: z.string().optional().describe('Only events of this type, such as client.registered.'),
  actor: z.string().optional().describe('Only what this one did: operator:NAME, client:ID or registration_token:ID.'),
  account_id: z.string().optional().describe('Only events about this account.'),
  client_id: z.string().optional().describe('Only events about this client.'),
  resource: z.string().optional().describe('Only events about the resource server of this identifier.'),
  grant_id: z.string().optional().describe('Only events about this grant.'),
  since: moment.optional().describe('Only events from this moment on.'),
  until: moment.optional().describe('Only events before this moment.'),
}

/** The record of what happened. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'audit',
      verb: 'list',
      summary: 'Show what happened, newest first',
      scope: 'postern:audit',
      http: { method: 'GET', path: '/audit' },
      input: z.strictObject({ ...filter, ...listInput }),
      output: listOutput(shownEvent),
      run({ tx, storage }, { cursor, limit, ...given }) {
        const wanted = {
          type: given.type,
          actor: given.actor,
          accountId: given.account_id,
          clientId: given.client_id,
          resource: given.resource,
          grantId: given.grant_id,
          since: given.since,
          until: given.until,
        }
        return page(storage.envelope, {
          list: `audit:${JSON.stringify(wanted)}`,
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
            client_id: event.clientId,
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

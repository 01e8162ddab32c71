import { z } from 'zod'
import * as store from '../../stores/operations/refused-requests.ts'
import { type Operation, OperationError, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'

const shown = z.object({
  request_id: z.string(),
  occurred_at: z.string(),
  method: z.string(),
  path: z.string(),
  status: z.int(),
  client_id: z.string().optional(),
  client_name: z.string().optional(),
  error: z.string(),
  reason: z.string(),
  parameter: z.string().optional(),
  expected: z.string().optional(),
  received: z.string().optional(),
  remedy: z.string().optional(),
})

/** Lists the operations on rejected protocol requests. They show the reason, which the app did not receive. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'request',
      verb: 'explain',
      summary: 'Explain why a request was rejected, by the ID on its error page or in its X-Request-Id',
      scope: 'postern:audit',
      http: { method: 'GET', path: '/refused-requests/{request_id}' },
      input: z.strictObject({ request_id: z.string().min(1).describe('The ID of the request.') }),
      output: shown,
      async run({ tx }, { request_id: requestId }) {
        const request = await store.find(tx, requestId)
        if (request) return show(request)
        throw new OperationError(
          'not-found',
          'There is no record of a rejected request with this ID. Records are kept for three days, but not all of them if there are very many. The log contains the reason for every rejection.',
        )
      },
    }),

    operation({
      noun: 'request',
      verb: 'list',
      summary: 'List recently rejected requests, newest first',
      scope: 'postern:audit',
      http: { method: 'GET', path: '/refused-requests' },
      input: z.strictObject({
        client_id: z.string().optional().describe('Only requests by this client.'),
        ...listInput,
      }),
      output: listOutput(shown),
      columns: ['request_id', 'occurred_at', 'client_name', 'error', 'reason'],
      run: ({ tx, storage }, { client_id: clientId, cursor, limit }) =>
        page(storage.envelope, {
          list: `refused-requests:${JSON.stringify([clientId])}`,
          cursor,
          limit,
          read: (options) => store.list(tx, { clientId, ...options }),
          positionOf: ({ occurredAt, requestId }) => ({ at: occurredAt, id: requestId }),
          show,
        }),
    }),
  ]
}

function show({ requestId, occurredAt, method, path, status, reason }: store.RefusedRequest): z.input<typeof shown> {
  const { error = '', reason: text = '', clientId, clientName, parameter, expected, received, remedy } = reason
  return {
    request_id: requestId,
    occurred_at: occurredAt.toISOString(),
    method,
    path,
    status,
    ...(clientId !== undefined && { client_id: clientId }),
    ...(clientName !== undefined && { client_name: clientName }),
    error,
    reason: text,
    ...(parameter !== undefined && { parameter }),
    ...(expected !== undefined && { expected }),
    ...(received !== undefined && { received }),
    ...(remedy !== undefined && { remedy }),
  }
}

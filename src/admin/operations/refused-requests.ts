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

/** Requests of the protocol that were refused, with the reason that the app was not told. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'request',
      verb: 'explain',
      summary: 'Say why a request was refused, by the id on the error page or in X-Request-Id',
      scope: 'postern:audit',
      http: { method: 'GET', path: '/refused-requests/{request_id}' },
      input: z.strictObject({ request_id: z.string().min(1).describe('The id of the request.') }),
      output: shown,
      async run({ tx }, { request_id: requestId }) {
        const request = await store.find(tx, requestId)
        if (request) return show(request)
        throw new OperationError(
          'not-found',
          'No refused request of this id is kept. They are for three days, though not all when there are very many; the log has the reason of each.',
        )
      },
    }),

    operation({
      noun: 'request',
      verb: 'list',
      summary: 'List requests that were refused lately, newest first',
      scope: 'postern:audit',
      http: { method: 'GET', path: '/refused-requests' },
      input: z.strictObject({
        client_id: z.string().optional().describe('Only requests of this client.'),
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

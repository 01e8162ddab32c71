import { z } from 'zod'
import { adminPath, adminScopes } from '../oidc/admin-resource.ts'
import { routes } from '../oidc/endpoints.ts'
import type { Operation } from './operation.ts'

type Schema = Record<string, unknown>

/** Returns the fields of an operation's input that are in its path. */
export function pathFields({ http: { path } }: Operation): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
}

/** Tells whether an operation reads the fields that are not in its path from the query, as text, and not from a JSON body. */
export function readsQuery({ http: { method } }: Operation): boolean {
  return method === 'GET' || method === 'DELETE'
}

/** Tells whether a request may have an Idempotency-Key, because a repetition would otherwise have a second effect. */
export function isRepeatable({ http: { method } }: Operation): boolean {
  return method === 'POST'
}

/** Describes the admin API as an OpenAPI 3.1 document, which is generated from the operations. */
export function describeApi(
  operations: readonly Operation[],
  {
    issuer,
    version,
    problems,
  }: { issuer: string; version: string; problems: Record<string, readonly [number, string]> },
): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of operations) {
    const { path, method } = operation.http
    paths[path] = { ...paths[path], [method.toLowerCase()]: describeOperation(operation) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Postern admin API',
      version,
      description:
        'The operations of the command line, over HTTP. A list continues with `next_cursor`. Errors are problem details (RFC 9457).',
    },
    servers: [{ url: issuer + adminPath }],
    paths,
    components: {
      securitySchemes: {
        oauth: {
          type: 'oauth2',
          description: `Client credentials, with the resource ${issuer}${adminPath}. Tokens may be bound to a key by DPoP.`,
          flows: { clientCredentials: { tokenUrl: issuer + routes.token, scopes: { ...adminScopes } } },
        },
      },
      responses: {
        Problem: {
          description: 'The operation was not performed, and nothing was changed. The body says why (RFC 9457).',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
      schemas: { Problem: problemSchema(problems) },
    },
  }
}

function describeOperation(operation: Operation): Record<string, unknown> {
  const { noun, verb, summary, scope, http } = operation
  const { properties = {}, required = [] } = z.toJSONSchema(operation.input, {
    io: 'input',
    unrepresentable: 'any',
  }) as { properties?: Record<string, Schema>; required?: string[] }
  const inPath = pathFields(operation)
  const fields = Object.entries(properties).filter(([name]) => !inPath.includes(name))
  const isQuery = readsQuery(operation)
  const parameter = (place: 'path' | 'query') => (name: string) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: properties[name],
    ...(properties[name]?.['description'] !== undefined && { description: properties[name]['description'] }),
  })
  const parameters = [
    ...inPath.map(parameter('path')),
    ...(isQuery ? fields.map(([name]) => parameter('query')(name)) : []),
    ...(isRepeatable(operation) ? [idempotencyKey] : []),
  ]
  const status = String(http.status ?? 200)
  return {
    operationId: camelCase(`${noun}-${verb}`),
    summary: `${summary}.`,
    tags: [noun],
    security: [{ oauth: [scope] }],
    ...(parameters.length > 0 && { parameters }),
    ...(!isQuery &&
      fields.length > 0 && {
        requestBody: {
          required: fields.some(([name]) => required.includes(name)),
          content: { 'application/json': { schema: objectOf(fields, required) } },
        },
      }),
    responses: {
      [status]: {
        description: status === '204' ? 'The operation was performed.' : 'The result.',
        ...(isRepeatable(operation) && { headers: { 'Idempotent-Replayed': idempotentReplayed } }),
        ...('cursor' in properties && { headers: { Link: linkToNext } }),
        ...(status !== '204' && {
          content: {
            'application/json': {
              schema: schemaOf(z.toJSONSchema(operation.output, { io: 'output', unrepresentable: 'any' })),
            },
          },
        }),
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A key of your choice. For a day, a repetition of the request with the same key has no further effect and receives the first answer.',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[ -~]*$' },
}

const idempotentReplayed = {
  description: 'Present if this repeats the answer to an earlier request with the same Idempotency-Key.',
  schema: { type: 'string', const: 'true' },
}

const linkToNext = {
  description: 'The next page of the list, as rel="next" (RFC 8288). Absent on the last page.',
  schema: { type: 'string' },
}

function objectOf(fields: [string, Schema][], required: string[]): Schema {
  const needed = fields.map(([name]) => name).filter((name) => required.includes(name))
  return {
    type: 'object',
    properties: Object.fromEntries(fields),
    ...(needed.length > 0 && { required: needed }),
    additionalProperties: false,
  }
}

function schemaOf({ $schema: _dialect, ...schema }: Schema): Schema {
  return schema
}

function problemSchema(problems: Record<string, readonly [number, string]>): Schema {
  return {
    type: 'object',
    required: ['type', 'title', 'status', 'instance'],
    properties: {
      type: { type: 'string', enum: Object.keys(problems).map((kind) => `urn:postern:problem:${kind}`) },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string' },
      instance: { type: 'string', description: 'Identifies the request; the log shows it as requestId.' },
      errors: {
        type: 'array',
        items: {
          type: 'object',
          required: ['field', 'detail'],
          properties: { field: { type: 'string' }, detail: { type: 'string' }, rule: { type: 'string' } },
        },
      },
    },
  }
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_match, letter: string) => letter.toUpperCase())
}

import { z } from 'zod'
import { adminPath, adminScopes } from '../oidc/admin-resource.ts'
import { routes } from '../oidc/endpoints.ts'
import type { Operation } from './operation.ts'

type Schema = Record<string, unknown>

/** Fields of an operation's input that are in its path. */
export function pathFields({ http: { path } }: Operation): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
}

/** Whether its fields beside those of the path are in the query, as text, rather than in a JSON body. */
export function readsQuery({ http: { method } }: Operation): boolean {
  return method === 'GET' || method === 'DELETE'
}

/** Whether a request may carry an Idempotency-Key: where doing it twice would make two. */
export function isRepeatable({ http: { method } }: Operation): boolean {
  return method === 'POST'
}

/** The admin API as an OpenAPI 3.1 document, made of the operations themselves. */
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
        'What the command line can do, over HTTP. Lists go on with `next_cursor`; errors are problem details.',
    },
    servers: [{ url: issuer + adminPath }],
    paths,
    components: {
      securitySchemes: {
        oauth: {
          type: 'oauth2',
          description: `Client credentials, with the resource ${issuer}${adminPath}. Tokens may be bound by DPoP.`,
          flows: { clientCredentials: { tokenUrl: issuer + routes.token, scopes: { ...adminScopes } } },
        },
      },
      responses: {
        Problem: {
          description: 'It was not done, and nothing was changed (RFC 9457).',
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
        description: status === '204' ? 'It is done.' : 'The outcome.',
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
  description: 'Chosen by the caller. The same request with the same key is done once, and answered alike for a day.',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[ -~]*$' },
}

const idempotentReplayed = {
  description: 'Present if the request was answered before, and this is that answer.',
  schema: { type: 'string', const: 'true' },
}

const linkToNext = {
  description: 'Where the list goes on, as rel="next" (RFC 8288). Absent at its end.',
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
      instance: { type: 'string', description: 'Names the request; the log has it as requestId.' },
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

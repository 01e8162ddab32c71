import type { Context } from 'koa'
import { z } from 'zod'
import { Refusal } from '../../admin/operation.ts'
import { isUnavailable, isUnstorable } from '../../database/connect.ts'

export type ProblemKind = keyof typeof kinds

// biome-ignore format: it is a table
const kinds = {
  'malformed-request':      [400, 'The request is malformed'],
  unauthenticated:          [401, 'An access token is needed'],
  'invalid-token':          [401, 'The access token is not good'],
  'insufficient-scope':     [403, 'The access token does not allow this'],
  forbidden:                [403, 'That is more than you may'],
  'not-found':              [404, 'There is no such thing'],
  'method-not-allowed':     [405, 'This cannot be done here'],
  conflict:                 [409, 'That is in conflict with what is there'],
  'too-large':              [413, 'The request is too large'],
  'unsupported-media-type': [415, 'The body must be JSON'],
  invalid:                  [422, 'The input is not valid'],
  'server-error':           [500, 'Something went wrong'],
  unavailable:              [503, 'The server is temporarily unavailable'],
} as const satisfies Record<string, readonly [number, string]>

/** Every `type` of a problem, with its status and title: what the OpenAPI document and docs/admin-api.md say. */
export const problemKinds: Record<string, readonly [number, string]> = kinds

type FieldError = { field: string; detail: string; rule?: string | undefined }

/** What goes wrong, for `answerProblem`. */
export class Problem extends Error {
  override name = 'Problem'
  readonly kind: ProblemKind
  readonly errors: FieldError[] | undefined

  constructor(kind: ProblemKind, detail?: string, { errors, cause }: { errors?: FieldError[]; cause?: unknown } = {}) {
    super(detail, { cause })
    this.kind = kind
    this.errors = errors
  }
}

/** A failure as a problem: what an administrator can do something about says what; the rest says only that it is ours. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof Refusal) {
    const { field, rule, message } = error
    const errors = field === undefined ? undefined : [{ field, detail: message, ...(rule !== undefined && { rule }) }]
    return new Problem(error.kind, message, { ...(errors && { errors }) })
  }
  if (error instanceof z.ZodError) {
    const errors = error.issues.map(({ path, message }) => ({ field: path.join('.'), detail: message }))
    return new Problem('invalid', errors.map(({ field, detail }) => `${field} ${detail}`.trim()).join('; '), { errors })
  }
  if (isUnavailable(error)) return new Problem('unavailable', undefined, { cause: error })
  if (isUnstorable(error)) return new Problem('malformed-request', 'It has a character that cannot be stored.')
  return new Problem('server-error', undefined, { cause: error })
}

/** Answers with a problem (RFC 9457 §3). */
export function answerProblem(ctx: Context, { kind, message, errors }: Problem): void {
  const [status, title] = kinds[kind]
  const requestId = String(ctx.state['requestId'])
  ctx.status = status
  ctx.body = {
    type: `urn:postern:problem:${kind}`,
    title,
    status,
    ...(message && { detail: message }),
    instance: `urn:postern:request:${requestId}`,
    ...(errors && { errors }),
  }
  ctx.type = 'application/problem+json'
  if (status === 503) ctx.set('Retry-After', '2')
}

import type { Context, Middleware } from 'koa'
import type { Logger } from 'pino'
import { z } from 'zod'
import { OperationError } from '../../admin/operation.ts'
import { TooBusy } from '../../crypto/passwords.ts'
import { isUnavailable, isUnstorable } from '../../database/connect.ts'
import { adminPath } from '../../oidc/admin-resource.ts'
import type { Refusal } from '../../registration/refusal.ts'
import { isCutShort } from '../bad-ends.ts'

export type ProblemKind = keyof typeof kinds

// biome-ignore format: it is a table
const kinds = {
  'malformed-request':      [400, 'The request is malformed'],
  unauthenticated:          [401, 'An access token is needed'],
  'invalid-token':          [401, 'The access token is not valid'],
  'invalid-proof':          [401, 'The DPoP proof is not valid'],
  'insufficient-scope':     [403, 'The access token does not allow this'],
  forbidden:                [403, 'Not allowed'],
  'not-found':              [404, 'Not found'],
  'method-not-allowed':     [405, 'The method is not allowed here'],
  conflict:                 [409, 'The request conflicts with the current state'],
  'too-large':              [413, 'The request is too large'],
  'unsupported-media-type': [415, 'The body must be JSON'],
  invalid:                  [422, 'The input is not valid'],
  'server-error':           [500, 'Something went wrong'],
  unavailable:              [503, 'The server is temporarily unavailable'],
} as const satisfies Record<string, readonly [number, string]>

/** The status and title of every `type` of problem, for the OpenAPI document and docs/admin-api.md. */
export const problemKinds: Record<string, readonly [number, string]> = kinds

/** A problem that `problemDetails` answers with. */
export class Problem extends Error {
  override name = 'Problem'
  readonly kind: ProblemKind
  readonly errors: Refusal[] | undefined

  constructor(kind: ProblemKind, detail?: string, { errors, cause }: { errors?: Refusal[]; cause?: unknown } = {}) {
    super(detail, { cause })
    this.kind = kind
    this.errors = errors
  }
}

/** Creates the problem of input that does not fit its schema. */
export function invalidInput(flaws: z.ZodError | Refusal[]): Problem {
  const errors = flaws instanceof z.ZodError ? flaws.issues.flatMap(fieldErrors) : flaws
  return new Problem('invalid', errors.map(({ field, message }) => `${field}: ${message}`).join('; '), { errors })
}

function fieldErrors(issue: z.core.$ZodIssue): Refusal[] {
  const field = (...more: string[]) => [...issue.path, ...more].join('.')
  if (issue.code !== 'unrecognized_keys') return [{ field: field(), message: issue.message }]
  return issue.keys.map((name) => ({ field: field(name), message: 'is unknown' }))
}

/**
 * Turns a failure into a problem. It says what is wrong if an administrator can do something about it, and otherwise
 * only that the fault is ours.
 */
function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof OperationError) {
    const { kind, refusal } = error
    return new Problem(kind, refusal.message, refusal.field === undefined ? {} : { errors: [refusal] })
  }
  if (error instanceof TooBusy)
    return new Problem('unavailable', 'Too many passwords are being set. Try again shortly.')
  // An error with a status is the router's, or one that our storage made of an error of the database.
  const { status } = error as { status?: unknown }
  if (status === 503 || isUnavailable(error)) return new Problem('unavailable', undefined, { cause: error })
  if (isUnstorable(error)) return new Problem('malformed-request', 'It contains a character that cannot be stored.')
  if (status === 404) return new Problem('not-found')
  return new Problem('server-error', undefined, { cause: error })
}

/** Answers every failure of the admin API with problem details, and keeps all its answers out of caches. */
export function problemDetails({ log }: { log: Logger }): Middleware {
  return async (ctx, next) => {
    const path = ctx.path.toLowerCase() // a path in the wrong case is one of the problems to answer
    if (path !== adminPath && !path.startsWith(`${adminPath}/`)) return next()
    ctx.set('Cache-Control', 'no-store')
    try {
      await next()
    } catch (error) {
      // First, because a client that goes away looks like a database that does.
      const problem = isCutShort(ctx.req, error) ? new Problem('malformed-request') : toProblem(error)
      if (problem.cause !== undefined) {
        log.error({ err: problem.cause, requestId: ctx.state['requestId'] }, 'an operation failed')
      }
      answer(ctx, problem)
    }
  }
}

/** Writes the answer to a problem (RFC 9457 §3). */
function answer(ctx: Context, { kind, message, errors }: Problem): void {
  const [status, title] = kinds[kind]
  const requestId = String(ctx.state['requestId'])
  ctx.status = status
  ctx.body = {
    type: `urn:postern:problem:${kind}`,
    title,
    status,
    ...(message && { detail: message }),
    instance: `urn:postern:request:${requestId}`,
    ...(errors && { errors: errors.map(({ field, rule, message: detail }) => ({ field, detail, rule })) }),
  }
  ctx.type = 'application/problem+json'
  if (status === 503) ctx.set('Retry-After', '2')
}

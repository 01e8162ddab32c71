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
  'invalid-token':          [401, 'The access token is not good'],
  'invalid-proof':          [401, 'The DPoP proof is not good'],
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

/** What goes wrong, for `answerProblem`. */
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

/** The problem that input does not fit, with what does not. */
export function invalidInput(flaws: z.ZodError | Refusal[]): Problem {
  const errors = flaws instanceof z.ZodError ? flaws.issues.flatMap(fieldErrors) : flaws
  return new Problem('invalid', errors.map(({ field, message }) => `${field}: ${message}`).join('; '), { errors })
}

function fieldErrors(issue: z.core.$ZodIssue): Refusal[] {
  const field = (...more: string[]) => [...issue.path, ...more].join('.')
  if (issue.code !== 'unrecognized_keys') return [{ field: field(), message: issue.message }]
  return issue.keys.map((name) => ({ field: field(name), message: 'is not known here' }))
}

/** A failure as a problem: what an administrator can do something about says what; the rest says only that it is ours. */
function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof OperationError) {
    const { kind, refusal } = error
    return new Problem(kind, refusal.message, refusal.field === undefined ? {} : { errors: [refusal] })
  }
  if (error instanceof TooBusy)
    return new Problem('unavailable', 'Too many passwords are being set. Try again shortly.')
  // Of the engine's errors only those arrive that its storage makes of the database's; the router's are of Koa.
  const { status } = error as { status?: unknown }
  if (status === 503 || isUnavailable(error)) return new Problem('unavailable', undefined, { cause: error })
  if (isUnstorable(error)) return new Problem('malformed-request', 'It has a character that cannot be stored.')
  if (status === 404) return new Problem('not-found')
  return new Problem('server-error', undefined, { cause: error })
}

/** Answers everything that goes wrong at the admin API as problem details, and keeps all its answers out of caches. */
export function problemDetails({ log }: { log: Logger }): Middleware {
  return async (ctx, next) => {
    const path = ctx.path.toLowerCase() // however it is spelled: that it is spelled wrong is one of the problems
    if (path !== adminPath && !path.startsWith(`${adminPath}/`)) return next()
    ctx.set('Cache-Control', 'no-store')
    try {
      await next()
    } catch (error) {
      // Before the database is suspected: what a client does looks the same.
      const problem = isCutShort(ctx.req, error) ? new Problem('malformed-request') : toProblem(error)
      if (problem.cause !== undefined) {
        log.error({ err: problem.cause, requestId: ctx.state['requestId'] }, 'an operation failed')
      }
      answer(ctx, problem)
    }
  }
}

/** Answers with a problem (RFC 9457 §3). */
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

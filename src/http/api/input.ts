import type { Context } from 'koa'
import { koaBody } from 'koa-body'
import { pathFields, readsQuery } from '../../admin/openapi.ts'
import type { Operation } from '../../admin/operation.ts'
import { fromText } from '../../admin/text.ts'
import { invalidInput, Problem } from './problems.ts'

type Input = Record<string, unknown>

const largestBody = '256kb' // as much metadata as the policy of administrators allows

/** What a request gives an operation: the fields of its path, and the others in its query or its JSON body. */
export async function readInput(ctx: Context, operation: Operation): Promise<Input> {
  const path = readPath(ctx, operation)
  const given = readsQuery(operation) ? fromText(operation.input, { ...ctx.query }) : await readBody(ctx)
  // They are said in the path alone, so that nothing can be done to something else than it says.
  const twice = Object.keys(path).filter((name) => Object.hasOwn(given, name))
  if (twice.length > 0) throw invalidInput(twice.map((field) => ({ field, message: 'is in the path already' })))
  const input = { ...given, ...path }
  // Looked at here as well as when it is run: what does not fit its schema there, or later, is a mistake of ours.
  const { error } = operation.input.safeParse(input)
  if (error) throw invalidInput(error)
  return input
}

function readPath(ctx: Context, operation: Operation): Input {
  try {
    decodeURIComponent(ctx.path)
  } catch {
    throw new Problem('malformed-request', 'The path is not percent-encoded UTF-8.')
  }
  return Object.fromEntries(pathFields(operation).map((name) => [name, ctx['params'][name]]))
}

const json = koaBody({
  urlencoded: false,
  text: false,
  multipart: false,
  jsonStrict: true,
  jsonLimit: largestBody,
  parsedMethods: ['POST', 'PUT', 'PATCH'] as never,
  onError: (error) => {
    const { status } = error as { status?: number }
    if (status === 413) throw new Problem('too-large', `The body may have ${largestBody}.`)
    if (status === 415) throw new Problem('unsupported-media-type', 'The content coding is not known here.')
    throw new Problem('malformed-request', 'The body is not JSON.')
  },
})

const deepest = 32 // levels, far more than any input has; whatever reads it further may do so level by level

async function readBody(ctx: Context): Promise<Input> {
  if (ctx.querystring !== '') throw new Problem('malformed-request', 'There is nothing to be said in the query.')
  const type = ctx.is('json')
  if (type === null || ctx.get('Content-Length') === '0') return {} // there is no body
  if (type === false) throw new Problem('unsupported-media-type', 'The body has to be application/json.')
  await json(ctx as never, async () => {})
  const { body } = ctx.request as { body?: unknown }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Problem('malformed-request', 'The body is not a JSON object.')
  }
  if (isDeeperThan(deepest, body)) throw new Problem('malformed-request', `The body has more than ${deepest} levels.`)
  return body as Input
}

function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((member) => isDeeperThan(levels - 1, member))
}

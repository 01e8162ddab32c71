import type { Context } from 'koa'
import { koaBody } from 'koa-body'
import { pathFields, readsQuery } from '../../admin/openapi.ts'
import type { Operation } from '../../admin/operation.ts'
import { fromText } from '../../admin/text.ts'
import { invalidInput, Problem } from './problems.ts'

type Input = Record<string, unknown>

const largestBody = '256kb' // as much metadata as the policy for administrators allows
const largestLargeBody = '2mb' // a thousand accounts

/** Reads the input of an operation: some fields from the path, the others from the query or the JSON body. */
export async function readInput(ctx: Context, operation: Operation): Promise<Input> {
  const path = readPath(ctx, operation)
  const given = readsQuery(operation) ? fromText(operation.input, { ...ctx.query }) : await readBody(ctx, operation)
  // A field of the path stands only there, so that a request does nothing to any object but the one that its path
  // names.
  const twice = Object.keys(path).filter((name) => Object.hasOwn(given, name))
  if (twice.length > 0) throw invalidInput(twice.map((field) => ({ field, message: 'is already in the path' })))
  const input = { ...given, ...path }
  // Parsed here as well as when the operation runs: input that does not fit the schema later is a bug of ours.
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

const jsonOf = (limit: string) =>
  koaBody({
    urlencoded: false,
    text: false,
    multipart: false,
    jsonStrict: true,
    jsonLimit: limit,
    parsedMethods: ['POST', 'PUT', 'PATCH'] as never,
    onError: (error) => {
      const { status } = error as { status?: number }
      if (status === 413) throw new Problem('too-large', `The body may have at most ${limit}.`)
      if (status === 415) throw new Problem('unsupported-media-type', 'The content coding is not supported.')
      throw new Problem('malformed-request', 'The body is not JSON.')
    },
  })

const [json, largeJson] = [jsonOf(largestBody), jsonOf(largestLargeBody)]

const deepest = 32 // levels, far more than any input has, so that code that reads it may be recursive

async function readBody(ctx: Context, { http }: Operation): Promise<Input> {
  if (ctx.querystring !== '') throw new Problem('malformed-request', 'The query must be empty.')
  const type = ctx.is('json')
  if (type === null || ctx.get('Content-Length') === '0') return {} // no body
  if (type === false) throw new Problem('unsupported-media-type', 'The body must be application/json.')
  await (http.isLarge ? largeJson : json)(ctx as never, async () => {})
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

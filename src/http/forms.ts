import type { Context, Middleware } from 'koa'
import { koaBody } from 'koa-body'
import { z } from 'zod'

const largestForm = '64kb'

/**
 * Parses an HTML form, without the U+0000 in its fields: text copied out of a document can contain some, nobody types one,
 * and PostgreSQL stores none. Any other body is rejected with 415.
 */
export const form: Middleware = async (ctx, next) => {
  if (!ctx.is('application/x-www-form-urlencoded')) ctx.throw(415, 'Send this as an HTML form.')
  const parse = koaBody({
    json: false,
    text: false,
    multipart: false,
    urlencoded: true,
    formLimit: largestForm,
    onError: (error) => {
      const { status } = error as { status?: number }
      ctx.throw(status === 413 ? 413 : 400, 'The form could not be read.', { cause: error })
    },
  })
  await parse(ctx, async () => {
    const request = ctx.request as { body?: unknown }
    request.body = withoutNul(request.body)
    await next()
  })
}

function withoutNul(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('\0', '')
  if (Array.isArray(value)) return value.map(withoutNul)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withoutNul(field)]))
}

/** Reads the fields of a form with a schema. A field that is missing, or wrongly repeated, throws a 400. */
export function readForm<Schema extends z.ZodType>(ctx: Context, schema: Schema): z.output<Schema> {
  const result = schema.safeParse((ctx.request as { body?: unknown }).body ?? {})
  if (!result.success) ctx.throw(400, 'The form was incomplete.', { cause: result.error })
  return result.data
}

/** A field that may be ticked any number of times. */
export const ticks = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .transform((value) => (value === undefined ? [] : [value].flat()))

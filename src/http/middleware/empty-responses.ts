import type { Middleware } from 'koa'

/** Leaves the content type out where there is no content: client libraries reject an empty answer of the wrong type. */
export const emptyResponses: Middleware = async (ctx, next) => {
  await next()
  if (ctx.body === '') ctx.remove('Content-Type')
}

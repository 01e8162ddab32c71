import type { Middleware } from 'koa'

/** Removes the content type of an empty answer: client libraries reject one of an unexpected type. */
export const emptyResponses: Middleware = async (ctx, next) => {
  await next()
  if (ctx.body === '') ctx.remove('Content-Type')
}

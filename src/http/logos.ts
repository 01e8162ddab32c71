import Router from '@koa/router'
import type { Db } from '../database/schema.ts'
import * as clientLogos from '../stores/clients/logos.ts'

/** Serves the logos of clients. Their address changes with their content, so browsers may keep them. */
export function logoRoutes({ db }: { db: Db }): Router {
  const router = new Router()
  router.get('/logos/:hash', async (ctx) => {
    const hash = String(ctx.params['hash'])
    const image = /^[0-9a-f]{64}$/.test(hash) ? await clientLogos.findImage(db, hash) : undefined
    if (!image) return ctx.throw(404)
    ctx.type = image.type
    ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
    ctx.set('Cross-Origin-Resource-Policy', 'same-origin')
    ctx.set('Content-Security-Policy', "default-src 'none'; sandbox")
    ctx.body = image.bytes
  })
  return router
}

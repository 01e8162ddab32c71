import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import Router from '@koa/router'
import { assets } from '../views/assets.ts'

const types: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/**
 * Serves the style sheets, the script and the icon from memory. Their address changes with their content, so browsers may keep them.
 */
export function assetRoutes(): Router {
  const files = new Map(readdirSync(assets).map((name) => [name, readFileSync(join(assets, name))]))
  const router = new Router()
  router.get('/assets/:name', (ctx) => {
    const name = String(ctx.params['name'])
    const file = files.get(name)
    if (!file) ctx.throw(404)
    ctx.type = types[extname(name)] ?? 'application/octet-stream'
    ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
    ctx.body = file
  })
  return router
}

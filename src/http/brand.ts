import Router from '@koa/router'
import type { Context } from 'koa'
import type { BrandFile } from '../brand/files.ts'
import type { Brand, CurrentBrand } from '../brand/index.ts'

// Files at addresses that others prescribe. They cannot have a version, so browsers ask for them again after a while.
const fixed = ['favicon.ico', 'apple-touch-icon.png', 'site.webmanifest']

/**
 * Serves the files that are made from the brand: its style sheet, its logos, its icons and the manifest. A file whose
 * address has its present version never changes there; any other copy is checked again, for example while a new version
 * of the server starts beside an old one.
 */
export function brandRoutes({ brand }: { brand: CurrentBrand }): Router {
  const router = new Router()
  const send = (ctx: Context, file: BrandFile, caching: string) => {
    ctx.set('Cache-Control', caching)
    ctx.set('ETag', `"${file.version}"`)
    // The logo of an operator may be an SVG with styles and scripts in it. Opened by itself, it runs no script.
    ctx.set('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox")
    ctx.type = file.type
    ctx.status = 200
    if (ctx.fresh) ctx.status = 304
    else ctx.body = file.bytes()
  }
  for (const name of fixed) {
    router.get(`/${name}`, (ctx, next) => {
      const file = fileIn(brand(), name)
      return file ? send(ctx, file, 'public, max-age=86400') : next()
    })
  }
  router.get('/assets/:name', (ctx, next) => {
    const file = fileIn(brand(), String(ctx.params['name']))
    if (!file) return next()
    const isPresent = ctx.query['v'] === file.version
    return send(ctx, file, isPresent ? 'public, max-age=31536000, immutable' : 'no-cache')
  })
  return router
}

function fileIn({ files }: Brand, name: string): BrandFile | undefined {
  return Object.hasOwn(files, name) ? files[name] : undefined
}

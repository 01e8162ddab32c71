import Router from '@koa/router'
import { acceptsWrites } from '../database/health.ts'
import { pending } from '../database/migrate.ts'
import type { Db } from '../database/schema.ts'

/**
 * Serves the health checks. `/health/live` means that the process runs. `/health/ready` means that it can serve
 * requests: the database is writable, the schema and the keys are current, and the process is not stopping.
 */
export function healthRoutes({
  db,
  hasCurrentKeys,
  isStopping,
}: {
  db: Db
  hasCurrentKeys: () => boolean
  isStopping: () => boolean
}): Router {
  const router = new Router({ prefix: '/health' })
  let isMigrated = false // stays true once it is

  router.get('/live', (ctx) => {
    ctx.body = { status: 'live' }
  })

  router.get('/ready', async (ctx) => {
    ctx.set('Cache-Control', 'no-store')
    const isReady = !isStopping() && hasCurrentKeys() && (await checkDatabase())
    ctx.status = isReady ? 200 : 503
    ctx.body = { status: isReady ? 'ready' : 'not ready' }
  })

  async function checkDatabase(): Promise<boolean> {
    try {
      isMigrated ||= (await pending(db)).length === 0
      return isMigrated && (await acceptsWrites(db))
    } catch {
      return false // requests that need the database log the cause
    }
  }

  return router
}

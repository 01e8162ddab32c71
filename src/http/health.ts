import Router from '@koa/router'
import { acceptsWrites } from '../database/health.ts'
import { pending } from '../database/migrate.ts'
import type { Db } from '../database/schema.ts'

/**
 * `/health/live` says the process runs; `/health/ready` that it can serve: database writable, schema and keys current, not
 * stopping.
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
  let isMigrated = false // once true it stays so

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
      return false // the answer itself; the cause is logged where requests need the database
    }
  }

  return router
}

import type { Acting } from '../../accounts/acting.ts'
import * as accountExport from '../../accounts/export.ts'
import type { Db } from '../../database/schema.ts'
import { byPerson } from '../by-person.ts'
import type { AccountHandler } from './handler.ts'

/** Sends a person a file with everything that is stored about them. */
export function dataExport({ db, act }: { db: Db; act: Acting }): AccountHandler<unknown> {
  return async (ctx, { account }) => {
    const data = await accountExport.collect(db, account)
    await act(byPerson(ctx), async ({ record }) => record({ type: 'account.exported', accountId: account.id }))

    const day = new Date().toISOString().slice(0, 10)
    ctx.set('Content-Disposition', `attachment; filename="account-${day}.json"`)
    ctx.type = 'application/json'
    ctx.body = `${JSON.stringify(data, undefined, 2)}\n`
  }
}

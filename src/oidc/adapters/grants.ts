import type { Adapter, AdapterPayload } from 'oidc-provider'
import * as audit from '../../stores/operations/audit.ts'
import * as grants from '../../stores/protocol/grants.ts'
import type { Storage } from '../request/storage.ts'
import { current } from '../request/work.ts'

/** Creates the adapter of grants: what people consented to, one for each account and client. */
export function grantAdapter({ db }: Storage): Partial<Adapter> {
  return {
    async find(id) {
      const known = current()?.reads.grants.get(id)
      return (known ?? (await grants.findById(db, id))?.payload) as AdapterPayload | undefined
    },
    async destroy(id) {
      const { requestId, address } = current() ?? {}
      await db.transaction().execute(async (tx) => {
        const pair = await grants.destroy(tx, id)
        if (!pair) return
        await audit.append(tx, [{ type: 'grant.revoked', grantId: id, ...pair, requestId, address }])
      })
    },
  }
}

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createActing } from '../../src/accounts/acting.ts'
import * as deletion from '../../src/accounts/deletion.ts'
import { startDeletingAccounts } from '../../src/jobs/account-deletion.ts'
import { createLogger } from '../../src/log/index.ts'
import * as accounts from '../../src/stores/people/accounts.ts'
import { eventually } from '../support/eventually.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const by = { requestId: 'r', address: '203.0.113.7' }

describe('an account whose owner deleted it', () => {
  test('is erased when its time is over, with its name in the audit, and its owner gets a mail', async () => {
    const { database, storage } = postern.server.postern
    const { db } = database
    const act = createActing({ db, envelope: storage.envelope })
    const gone = await postern.createAccount('gone@example.com', { name: 'Ada', locale: 'de' })
    const waiting = await postern.createAccount('waiting@example.com')
    const back = await postern.createAccount('back@example.com')
    const inAnHour = new Date(Date.now() + 3_600_000)
    for (const [account, at] of [
      [gone, new Date(Date.now() - 1_000)],
      [back, new Date(Date.now() - 1_000)],
      [waiting, inAnHour],
    ] as const) {
      expect(await act(by, (context) => deletion.schedule(context, account, at))).toEqual([])
      expect(await act(by, (context) => deletion.schedule(context, account, inAnHour))).toBe('not-possible')
    }
    expect(await act(by, (context) => deletion.cancel(context, back.id))).toBe(true)
    expect(await act(by, (context) => deletion.cancel(context, back.id))).toBe(false)

    const job = startDeletingAccounts({ database, act, log: createLogger('silent'), everyMs: 20 })
    await eventually(async () => expect(await accounts.findById(db, gone.id)).toBeUndefined())
    await job.stop()
    expect((await accounts.findById(db, waiting.id))?.deletionAt).toEqual(inAnHour)
    expect((await accounts.findById(db, back.id))?.deletionAt).toBeUndefined()

    const traces = await postern.database.query(
      `select type, actor, account_id, address from audit_events
       where account_id like 'erased:%' or account_id = '${gone.id}' order by id`,
    )
    expect(traces.map(({ type, actor, address }) => [type, actor, address])).toEqual([
      ['account.deletion_scheduled', null, null],
      ['account.erased', 'system', null],
    ])
    expect(new Set(traces.map(({ account_id }) => account_id)).size).toBe(1)
    const letters = await postern.database.query(
      `select kind from outbox where recipient = 'gone@example.com' order by 1`,
    )
    expect(letters.map(({ kind }) => kind)).toEqual(['account-deleted', 'account-deletion-scheduled'])
  })
})

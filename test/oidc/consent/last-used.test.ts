import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLogger } from '../../../src/log/index.ts'
import { createGrantUses } from '../../../src/oidc/consent/last-used.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { login } from '../../support/relying-party.ts'

const email = 'ada@example.com'
let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
})
afterAll(() => postern?.stop())

const grantsOf = async (clientId: string) =>
  postern.database.query(`select id, last_used_at from grants where client_id = '${clientId}'`)

describe('the last use of a grant', () => {
  test('is written once a day, later and for many at once, and not while the grant is locked', async () => {
    const { client_id } = await postern.createClient()
    const other = await postern.createClient()
    await login(postern, other, { email })
    const [{ id }] = (await grantsOf(other.client_id)) as [{ id: string }]
    const { db } = postern.server.postern.database
    await db.transaction().execute(async (tx) => {
      await tx.selectFrom('grants').select('id').where('id', '=', id).forUpdate().execute()
      const uses = createGrantUses({ db, log: createLogger('silent') })
      uses.note(id)
      await uses.stop() // does not wait for the lock
    })
    expect((await grantsOf(other.client_id))[0]?.['last_used_at']).toBeNull()

    const uses = createGrantUses({ db, log: createLogger('silent') })
    for (let n = 0; n < 3; n++) uses.note(id)
    uses.note('a grant that is gone')
    await uses.stop()
    const [first] = await grantsOf(other.client_id)
    expect(first?.['last_used_at']).toBeInstanceOf(Date)
    const restarted = createGrantUses({ db, log: createLogger('silent') }) // another process does not know it
    restarted.note(id)
    await restarted.stop()
    expect(await grantsOf(other.client_id)).toEqual([first])
    expect(await grantsOf(client_id)).toEqual([])
  })

  test('is noted when somebody signs in to the app', async () => {
    const client = await postern.createClient()
    await login(postern, client, { email })
    await postern.restart() // which writes what was noted
    expect((await grantsOf(client.client_id))[0]?.['last_used_at']).toBeInstanceOf(Date)
  })
})

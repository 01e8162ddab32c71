import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as access from '../../src/accounts/access.ts'
import * as password from '../../src/accounts/password.ts'
import * as profile from '../../src/accounts/profile.ts'
import * as removal from '../../src/accounts/removal.ts'
import type { AuditedTx, UnattributedEvent } from '../../src/stores/operations/audit.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

/** Makes a change in a transaction, and returns its outcome with the events that it recorded. */
async function recorded<T>(
  change: (on: AuditedTx) => Promise<T>,
): Promise<{ outcome: T; events: UnattributedEvent[] }> {
  const events: UnattributedEvent[] = []
  const { db } = postern.server.postern.database
  const outcome = await db.transaction().execute((tx) => change({ tx, record: (event) => events.push(event) }))
  return { outcome, events }
}

let people = 0

/** Creates an account that signed in and left a grant. */
async function person(): Promise<{ id: string; email: string; grantId: string }> {
  const email = `person-${people++}@example.com`
  const { id } = await postern.createAccount(email)
  await login(postern, await postern.createClient(), { email })
  const [grant] = await postern.database.query('select id from grants where account_id = $1', [id])
  return { id, email, grantId: String(grant?.['id']) }
}

const newcomer = (email: string) => ({ email, emailVerified: true, profile: {}, passwordHash: 'none' })

describe('a change of an account', () => {
  test.each<[string, (on: AuditedTx, someone: { id: string; grantId: string }) => Promise<unknown>]>([
    ['account.updated', (on, { id }) => profile.change(on, id, { emailVerified: false })],
    ['account.password_set', (on, { id }) => password.set(on, id, 'none')],
    ['account.disabled', (on, { id }) => access.disable(on, id)],
    ['account.enabled', (on, { id }) => access.enable(on, id)],
    ['grant.revoked', (on, { grantId }) => access.revokeGrant(on, grantId)],
    ['account.deleted', (on, { id }) => removal.destroy(on, id)],
  ])('records one event about the account: %s', async (type, change) => {
    const someone = await person()
    const { events } = await recorded((on) => change(on, someone))
    expect(events).toMatchObject([{ type, accountId: someone.id }])
  })

  test('records the creation of an account under its new ID', async () => {
    const { outcome, events } = await recorded((on) => profile.create(on, newcomer('newcomer@example.com')))
    expect(outcome).toMatchObject({ email: 'newcomer@example.com' })
    expect(events).toEqual([{ type: 'account.created', accountId: (outcome as { id: string }).id }])
  })

  test('records an erasure under a pseudonym and not under the ID of the account', async () => {
    const { id } = await person()
    const { outcome, events } = await recorded((on) => removal.erase(on, id))
    expect(events).toEqual([{ type: 'account.erased', accountId: (outcome as { pseudonym: string }).pseudonym }])
    expect(JSON.stringify(events)).not.toContain(id)
  })

  test('names the changed fields in its event', async () => {
    const { id, email } = await person()
    const { events } = await recorded((on) => profile.change(on, id, { profile: {}, email: `new-${email}` }))
    expect(events).toMatchObject([{ details: { changed: ['email', 'claims'] } }])
  })

  test('does not take the proof of an address for another one, unless an administrator says that it is proven', async () => {
    const { id, email } = await person()
    const change = (fields: Parameters<typeof profile.change>[2]) => recorded((on) => profile.change(on, id, fields))
    await change({ emailVerified: true })
    const verified = async (fields: Parameters<typeof profile.change>[2]) => (await change(fields)).outcome
    expect(await verified({ email: email.toUpperCase() })).toMatchObject({ emailVerified: true })
    expect(await verified({ email: `other-${email}` })).toMatchObject({ emailVerified: false })
    expect(await verified({ email, emailVerified: true })).toMatchObject({ emailVerified: true })
  })

  test('records nothing if it was rejected', async () => {
    const { email } = await person()
    const attempts: [(on: AuditedTx) => Promise<unknown>, unknown][] = [
      [(on) => profile.create(on, newcomer(email)), 'email-taken'],
      [(on) => password.set(on, 'nobody', 'none'), false],
      [(on) => access.revokeGrant(on, 'none'), false],
      [(on) => removal.erase(on, 'nobody'), 'no-account'],
    ]
    for (const [attempt, outcome] of attempts) expect(await recorded(attempt)).toEqual({ outcome, events: [] })
  })
})

import argon2 from 'argon2'
import type * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { whileQueueIsFull } from '../support/full-queue.ts'
import { rotateUntil } from '../support/keys.ts'
import { operate } from '../support/operator.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { shownRefusal } from '../support/refusals.ts'
import { beginLogin, discover } from '../support/relying-party.ts'
import { formsOf, type Page } from '../support/visitor.ts'

const people = ['nobody@example.com', 'ada@example.com', 'disabled@example.com'] as const
let postern: TestPostern
let config: oidc.Configuration

beforeAll(async () => {
  postern = await startPostern({ TRUSTED_PROXIES: '127.0.0.1,::1' })
  config = await discover(postern, await postern.createClient())
  await postern.createAccount('ada@example.com')
  await postern.createAccount('disabled@example.com')
  await operate(postern, 'account disable', { account: 'disabled@example.com' })
})
afterAll(() => postern?.stop())
beforeEach(() => postern.database.query('delete from throttles'))

async function atSignIn() {
  const { page, visitor } = await beginLogin(config, { issuer: postern.issuer })
  const { hidden = {} } = formsOf(page.body)[0] ?? {}
  return (email: string, secret: string, address = '192.0.2.1'): Promise<Page> =>
    visitor.post(`${page.url}/sign-in`, { ...hidden, email, password: secret }, { 'x-forwarded-for': address })
}

/** Signs in as each of the people, and expects the same answer for all of them. */
async function expectOneAnswer(status: number, secret: string, address?: (n: number) => string): Promise<void> {
  const answers = []
  for (const [n, email] of people.entries()) {
    const send = await atSignIn()
    answers.push(shownRefusal(await send(email, secret, address?.(n)), email))
  }
  expect(answers[0]).toMatchObject({ status })
  for (const answer of answers) expect(answer).toEqual(answers[0])
}

describe('a refusal is the same for an existing, an unknown and a disabled account', () => {
  test('after the keys changed while more people signed in than passwords could be checked', async () => {
    const { postern: running } = postern.server
    const before = running.keyring.version
    await whileQueueIsFull(postern, async () => {
      await rotateUntil(postern, new Date(Date.now() + 60_000))
      expect(running.keyring.version).not.toBe(before)
    })
    await expectOneAnswer(401, 'wrong')
    expect((await (await atSignIn())('ada@example.com', password)).status).toBe(200)
  })

  test('while more people sign in than passwords can be checked', async () => {
    await whileQueueIsFull(postern, () => expectOneAnswer(503, 'wrong'))
    expect(await postern.database.query('select 1 from throttles where expires_at > now()')).toEqual([])
  })

  test('after too many attempts', async () => {
    for (const [n, email] of people.entries()) {
      const send = await atSignIn()
      for (let count = 0; count < 8; count++) await send(email, 'wrong', `192.0.2.${n}`)
    }
    // The exact seconds to wait depend on when the attempts were made.
    await postern.database.query(`update throttles set expires_at = expires_at + interval '1 day'`)
    const statuses = []
    for (const [n, email] of people.entries()) {
      const { status, body } = await (await atSignIn())(email, 'wrong', `192.0.2.${n}`)
      statuses.push([status, body.includes('Too many attempts.')])
    }
    expect(statuses).toEqual([...people].map(() => [429, true]))
  })
})

describe('a hash with outdated parameters', () => {
  const old = () => argon2.hash(password, { type: argon2.argon2id, memoryCost: 4_096, timeCost: 2, parallelism: 1 })

  async function createOld(email: string): Promise<string> {
    const { id } = await postern.createAccount(email)
    await postern.database.query('update password_credentials set hash = $2 where account_id = $1', [id, await old()])
    return id
  }

  test('is not renewed over a password that was set during the sign-in, and the old password signs nobody in', async () => {
    const email = 'old@example.com'
    const id = await createOld(email)
    const send = await atSignIn()
    const another = await postern.server.postern.passwords.hash('another password')
    const { db } = postern.server.postern.database
    let signingIn: Promise<Page> | undefined
    await db.transaction().execute(async (tx) => {
      await tx.selectFrom('password_credentials').select('hash').where('account_id', '=', id).forUpdate().execute()
      signingIn = send(email, password)
      const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'password_credentials'
        and datname = current_database()`
      await expect.poll(async () => (await postern.database.query(waiting)).length).toBe(1)
      await tx.updateTable('password_credentials').set({ hash: another }).where('account_id', '=', id).execute()
    })
    expect((await signingIn)?.status).toBe(401)
    expect(await postern.database.query('select hash from password_credentials where account_id = $1', [id])).toEqual([
      { hash: another },
    ])
    expect((await (await atSignIn())(email, 'another password')).status).toBe(200)
  })

  test('is renewed once, and lets in every request with the password at that moment', async () => {
    const email = 'older@example.com'
    await createOld(email)
    const sends = await Promise.all(Array.from({ length: 4 }, () => atSignIn()))
    const answers = await Promise.all(sends.map((send) => send(email, password)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  })
})

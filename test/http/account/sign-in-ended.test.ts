import { afterAll, beforeAll, expect, test } from 'vitest'
import * as accounts from '../../../src/stores/people/accounts.ts'
import { canSignIn } from '../../support/people.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Fields, type Page } from '../../support/visitor.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const changes: [page: string, action: string, fields: Fields][] = [
  ['/account/password', '/account/password', { password: 'my other dog is a cat too' }],
  ['/account/email', '/account/email', { email: 'mallory@example.com' }],
  ['/account/profile', '/account/profile', { name: 'Mallory' }],
  ['/account/delete', '/account/delete', {}],
  ['/account/data', '/account/data/export', {}],
]

test('changes nothing with a form that is under way when all sign-ins of the account end', async () => {
  const { db } = postern.server.postern.database
  for (const [index, [path, action, fields]] of changes.entries()) {
    const email = `person-${index}@example.com`
    const { id } = await postern.createAccount(email)
    const visitor = createVisitor(postern.issuer)
    await visitor.signIn(await visitor.get('/account'), email)
    const page = await visitor.get(path)
    const events = () => postern.database.query('select type from audit_events where account_id = $1', [id])
    const before = await events()

    const sending = await db.transaction().execute(async (tx) => {
      await accounts.lock(tx, id)
      const sent = visitor.submit(page, action, fields)
      await expect.poll(waiting).toBe(1)
      await accounts.signOutEverywhere(tx, id)
      return { sent }
    })

    const answer: Page = await sending.sent
    expect(new URL(answer.url).pathname, action).toMatch(/^\/interaction\//)
    expect(await events(), action).toEqual(before)
    expect(await canSignIn(postern, email), action).toBe(true)
  }
  expect(await postern.database.query('select 1 from outbox')).toEqual([])

  async function waiting(): Promise<number> {
    const rows = await postern.database.query(
      "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    return rows.length
  }
})

test('fills in no form with what somebody else typed in it, if their cookie gets into the browser of another person', async () => {
  const signedIn = async (email: string) => {
    await postern.createAccount(email)
    const visitor = createVisitor(postern.issuer)
    await visitor.signIn(await visitor.get('/account'), email)
    return visitor
  }
  const [mallory, ada] = [await signedIn('mallory@example.com'), await signedIn('ada@example.com')]
  let isSent = false
  const refusing = createVisitor(postern.issuer, {
    cookies: mallory.cookies,
    // Stops at the redirect, so that the note is still there.
    async fetch(address, init) {
      if (isSent) throw new Error('stopped')
      const response = await fetch(address, init)
      isSent = init?.method === 'POST'
      return response
    },
  })
  const form = await refusing.get('/account/profile')
  const typed = { name: 'Mallory was here', website: 'not an address' }
  await expect(refusing.submit(form, '/account/profile', typed)).rejects.toThrow()
  const notes = [...mallory.cookies].filter(([key]) => key.includes('_note'))
  expect(notes.length).toBeGreaterThan(0)
  for (const [key, cookie] of notes) ada.cookies.set(key, cookie)
  const page = await ada.get('/account/profile')
  expect([page.status, page.body.includes('Mallory was here')]).toEqual([200, false])
})

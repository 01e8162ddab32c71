import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mailTo } from '../support/mailbox.ts'
import { press } from '../support/people.ts'
import { type Fleet, startFleet } from '../support/processes.ts'
import { cookieHeaderOf, createVisitor } from '../support/visitor.ts'
import { type Answer, browserAt, call, expectNoFailures } from './journey.ts'
import { createTally, overlap, patienceMs, printTable, race, rounds, settle } from './race.ts'

const [email, fresh] = ['ada@example.com', 'countess@example.com']
let fleet: Fleet
let accountId: string

beforeAll(async () => {
  fleet = await startFleet({ SIGN_IN_BY_CODE: 'true' })
  accountId = await fleet.createAccount(email)
})
beforeEach(async () => {
  await fleet.database.query('delete from throttles')
})
afterAll(async () => {
  printTable()
  expectNoFailures(fleet)
  await fleet?.stop()
})

const outbox = () => ({ database: fleet.database, server: { postern: fleet.operator } })
const origin = () => ({ origin: new URL(fleet.issuer).origin })
const newest = async (to = email) => mailTo(outbox(), to)
const changes = async (type: string) =>
  Number((await fleet.database.query('select count(*)::int as n from audit_events where type = $1', [type]))[0]?.['n'])

/** Asks for a link to choose a password, and returns its path. */
async function forgotten(): Promise<string> {
  await fleet.database.query('delete from throttles')
  const visitor = browserAt(fleet.processes[0])
  const form = await press(visitor, await visitor.get('/account'), 'recover', email)
  await visitor.submit(form, '/forgot', { email })
  return new URL((await newest()).link).pathname
}

/** Returns what the page shows next: the page of a link is told by a cookie, which the form's answer sets. */
const choose = (at: Parameters<typeof call>[0], path: string, password: string): Promise<Answer> =>
  call(at, path, { form: { password }, headers: origin() })

describe('fifty simultaneous uses at two processes', () => {
  test('choose one password by one link', { timeout: patienceMs }, async () => {
    for (let round = 0; round < Math.ceil(rounds / 3); round++) {
      const path = await forgotten()
      const before = await changes('account.password_changed')
      let number = 0
      const answers = await race(fleet, (server) => choose(server, path, `one of fifty passwords: ${number++}`))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303])) // to the page that says how it ended
      expect(await changes('account.password_changed')).toBe(before + 1)
    }
  })

  test('sign in once by one code', { timeout: patienceMs }, async () => {
    const tally = createTally('code by mail')
    for (let round = 0; round < rounds; round++) {
      await fleet.database.query('delete from throttles')
      const visitor = browserAt(fleet.processes[0])
      const page = await press(visitor, await visitor.get('/account'), 'send-code', email)
      const { code } = await newest()
      const { pathname } = new URL(page.url)
      const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page.body) ?? []
      const form = { code, csrf, uid: String(pathname.split('/')[2]) }
      const headers = { ...origin(), cookie: cookieHeaderOf(visitor) }
      const answers = await race(fleet, (server) => call(server, pathname, { form, headers }))
      const { winners } = settle(tally, answers, ({ location }) => location?.pathname.startsWith('/oauth/') === true)
      expect(winners).toHaveLength(1)
    }
    expect(tally.serverErrors).toBe(0)
  })

  test('change an address once by one link', { timeout: patienceMs }, async () => {
    for (let round = 0; round < Math.ceil(rounds / 2); round++) {
      await fleet.operate('account update', { account: accountId, email, email_verified: true })
      await fleet.operate('account set-password', { account: accountId, password: 'correct horse battery' })
      await fleet.database.query('delete from throttles')
      const visitor = browserAt(fleet.processes[0])
      await visitor.signIn(await visitor.get('/account'), email, 'correct horse battery')
      await visitor.submit(await visitor.get('/account/email'), '/account/email', { email: fresh })
      const { pathname } = new URL((await newest(fresh)).link)
      const before = await changes('account.email_changed')
      const headers = { ...origin(), cookie: cookieHeaderOf(visitor) }
      const answers = await race(fleet, (server) => call(server, pathname, { form: {}, headers }))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]))
      expect(await changes('account.email_changed')).toBe(before + 1)
    }
  })
})

describe('a link that is used while the account is disabled at the other process', () => {
  test('leaves nobody signed in, whichever comes first', { timeout: patienceMs }, async () => {
    await fleet.operate('account update', { account: accountId, email, email_verified: true })
    for (let round = 0; round < rounds; round++) {
      const path = await forgotten()
      const [one, other] = fleet.processes
      await overlap(
        round,
        () => choose(one, path, `a password of round ${round}`),
        () => fleet.operate('account disable', { account: accountId }),
      )
      const visitor = createVisitor(fleet.issuer, { fetch: other.fetch })
      const page = await visitor.signIn(await visitor.get('/account'), email, `a password of round ${round}`)
      expect(page.status).toBe(401)
      await fleet.operate('account enable', { account: accountId })
      const form = await visitor.get(path)
      expect(form.body).not.toContain('new-password')
    }
  })
})

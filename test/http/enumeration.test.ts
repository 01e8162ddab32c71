import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mailsTo } from '../support/mailbox.ts'
import { administer, press } from '../support/people.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createVisitor, type Page, type Visitor } from '../support/visitor.ts'

/** The states of an address that no page may tell apart. */
const addresses = ['unknown', 'known', 'unverified', 'disabled', 'invited', 'deleted'] as const
type State = (typeof addresses)[number]
const emailOf = (state: State) => `${state.padEnd(10, '-')}@example.com` // all of one length

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern({ SIGN_IN_BY_CODE: 'true', SIGN_UP: 'open' })
  await postern.database.query(`create function hold() returns trigger language plpgsql as 'begin return null; end'`)
  await postern.database.query('create trigger held before update on outbox for each row execute function hold()')
  await holdMail(false)
  await postern.createAccount('owner-----@example.com')
  for (const state of addresses) {
    const email = emailOf(state)
    if (state === 'unknown') continue
    if (state === 'invited') {
      await administer(postern, 'invite', { email })
      continue
    }
    const { id: account } = await postern.createAccount(email)
    if (state === 'unverified') await administer(postern, 'update', { account, email_verified: false })
    if (state === 'disabled') await administer(postern, 'disable', { account })
    if (state === 'deleted') await administer(postern, 'delete', { account })
  }
})
beforeEach(async () => {
  for (const state of addresses) await mailsTo(postern, emailOf(state)) // until no letter waits
  for (const table of ['throttles', 'outbox']) await postern.database.query(`delete from ${table}`)
})
afterAll(() => postern?.stop())

const signInPage = async (visitor: Visitor) => visitor.get('/account')

/** A form that takes an address: what a person does up to it, and what they then see. */
type Form = {
  name: string
  send(visitor: Visitor, page: Page, email: string): Promise<Page>
  open?(visitor: Visitor, email: string): Promise<Page>
}

const forms: Form[] = [
  { name: 'sign-in', send: (visitor, page, email) => visitor.signIn(page, email, 'not the right password') },
  {
    name: 'forgotten password',
    async send(visitor, page, email) {
      return visitor.submit(await press(visitor, page, 'recover', email), '/forgot', { email })
    },
  },
  {
    name: 'sign-up',
    async open(visitor) {
      const page = await signInPage(visitor)
      return visitor.get(`${new URL(page.url).pathname}/sign-up`)
    },
    send: (visitor, page, email) => visitor.submit(page, '/sign-up', { email, password: 'seven wild horses run' }),
  },
  { name: 'code by mail', send: (visitor, page, email) => press(visitor, page, 'send-code', email) },
  {
    name: 'a wrong code',
    async open(visitor, email) {
      const form = await press(visitor, await signInPage(visitor), 'send-code', email)
      await mailsTo(postern, email)
      return form
    },
    send: (visitor, page) => visitor.submit(page, '/code', { code: 'no code' }),
  },
  {
    name: 'change of address',
    async open(visitor) {
      await visitor.signIn(await signInPage(visitor), 'owner-----@example.com')
      return visitor.get('/account/email')
    },
    send: (visitor, page, email) => visitor.submit(page, '/account/email', { email }),
  },
]

/** Keeps the delivery from making mails of letters, so that only the statements of requests are counted. */
async function holdMail(isHeld: boolean): Promise<void> {
  await postern.database.query(`alter table outbox ${isHeld ? 'enable' : 'disable'} trigger held`)
  if (!isHeld) await postern.database.query(`select pg_notify('outbox_added', '')`)
}

/** Everything that somebody who sends a form learns, apart from the address, and from ids that are always random. */
type Seen = { status: number; path: string; headers: string[]; body: string; statements: string[]; mails: number }

// Statements of jobs and of the delivery, which run at any time and after the answer.
const isByTheClock = (sql: string) =>
  /skip locked|"outbox" where|update "outbox"|pg_notify|from "clients" where "updated_at"|"last_used_at"|from clients c |"(encryption_)?keys"/.test(
    sql,
  )

async function watch(form: Form, email: string): Promise<Seen> {
  const visitor = createVisitor(postern.issuer)
  const page = await (form.open ?? signInPage)(visitor, email)
  await holdMail(true)
  postern.statements.splice(0)
  const answer = await form.send(visitor, page, email)
  const ofAnswer = postern.statements.splice(0)
  await holdMail(false)
  const plain = (text: string) =>
    text
      .replaceAll(email, 'EMAIL')
      .replace(/(?<=expires=)[^;]+(?<!1970[^;]*)/g, 'LATER')
      .replace(/postern_browser_[\w-]+/g, 'postern_browser')
      .replace(/(?<=name="(?:csrf|uid)" value=")[^"]+/g, 'ID')
      .replace(/(?<=\/interaction\/)[\w-]+/g, 'ID')
      .replace(/(?<=<code dir="ltr">)[\w-]{16}/g, 'ID')
  const names = ['date', 'x-request-id', 'set-cookie', 'content-length', 'keep-alive']
  return {
    status: answer.status,
    path: plain(new URL(answer.url).pathname),
    headers: [
      ...[...answer.headers].filter(([name]) => !names.includes(name)).map(([name, value]) => `${name}: ${value}`),
      ...answer.headers
        .getSetCookie()
        .map((line) => plain(line.replace(/=[^;]*/, '')))
        .sort(),
    ],
    body: plain(answer.body),
    statements: ofAnswer.filter((sql) => !isByTheClock(sql)),
    mails: (await mailsTo(postern, email)).length,
  }
}

describe.each(forms)('the form of $name', (form) => {
  test('looks and works the same for every address, and only its mailbox learns the difference', async () => {
    const seen: (Seen & { state: State })[] = []
    for (const state of addresses) {
      await postern.database.query('delete from throttles')
      seen.push({ state, ...(await watch(form, emailOf(state))) })
    }
    const [reference] = seen
    for (const { state, mails: _, ...rest } of seen) {
      const { state: __, mails: ___, ...expected } = reference ?? {}
      expect({ of: state, ...rest }).toEqual({ of: state, ...expected })
    }
    const mailed = seen.filter(({ mails }) => mails > 0).map(({ state }) => state)
    const withAccounts = ['known', 'unverified', 'invited']
    if (form.name === 'sign-in') expect(mailed).toEqual([])
    else if (form.name === 'change of address' || form.name === 'sign-up') expect(mailed).toEqual([...addresses])
    else expect(mailed).toEqual(withAccounts)
  })
})

import type * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { allowances } from '../../src/authentication/attempts.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { password, serveBeside, startPostern, type TestPostern } from '../support/postern.ts'
import { shownRefusal } from '../support/refusals.ts'
import { beginLogin, discover } from '../support/relying-party.ts'
import { createVisitor, formsOf, type Page, type Visitor } from '../support/visitor.ts'

const email = 'ada@example.com'
const home = '203.0.113.1'
const office = '198.51.100.1'
let postern: TestPostern
let client: ClientMetadata
let accountId: string
let config: oidc.Configuration

beforeAll(async () => {
  postern = await startPostern({ TRUSTED_PROXIES: '127.0.0.1,::1' })
  client = await postern.createClient()
  config = await discover(postern, client)
  accountId = (await postern.createAccount(email)).id
  await postern.createAccount('mallory@example.com')
})
afterAll(() => postern?.stop())
beforeEach(() => postern.database.query('delete from throttles'))

type Guess = { address: string; email?: string; password?: string }

/** Opens the sign-in page in a browser of its own. */
async function atSignIn(visitor = createVisitor(postern.issuer)) {
  const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'login' })
  const { hidden = {} } = formsOf(page.body)[0] ?? {}
  return ({ address, ...fields }: Guess): Promise<Page> =>
    visitor.post(`${page.url}/sign-in`, { ...hidden, email, password, ...fields }, { 'x-forwarded-for': address })
}

const isLetIn = ({ status }: Page) => status < 400
const signIn = async (address: string, visitor?: Visitor) => (await atSignIn(visitor))({ address })

/** Tries one password after the other, whatever the answers are. */
async function guess(count: number, of: (n: number) => Guess): Promise<void> {
  const send = await atSignIn()
  for (let n = 0; n < count; n++) await send({ password: 'wrong', ...of(n) })
}

// Each attack uses up an allowance that others share.
const attacks: [string, (n: number) => Guess, number][] = [
  ['at the account from everywhere over IPv4', (n) => ({ address: `192.0.2.${n % 250}` }), 230],
  [
    'at the account from every /64 of a /56',
    (n) => ({ address: `2001:db8:0:1${(n % 200).toString(16).padStart(2, '0')}::1` }),
    230,
  ],
  ['at the account from every /56 of a /48', (n) => ({ address: `2001:db8:5:${(n % 200).toString(16)}00::1` }), 230],
  ['at made-up accounts from one address', (n) => ({ address: '192.0.2.1', email: `nobody${n}@example.com` }), 130],
]

describe('a stranger who guesses', () => {
  test.each(attacks)(
    '%s makes neither people elsewhere wait nor a browser that has signed in to the account before',
    async (_what, of, count) => {
      const visitor = createVisitor(postern.issuer)
      expect(isLetIn(await signIn(office, visitor))).toBe(true)
      await guess(count, of)

      const neverSeen = await atSignIn()
      expect((await neverSeen({ address: home, password: 'mistyped' })).status).toBe(401)
      expect(isLetIn(await neverSeen({ address: home }))).toBe(true)

      await guess(10, () => ({ address: of(0).address }))
      expect(isLetIn(await signIn(of(0).address, visitor))).toBe(true) // from the attackers’ network
    },
  )

  test('at the account in the person’s network does not make a browser of that person wait', async () => {
    const visitor = createVisitor(postern.issuer)
    expect(isLetIn(await signIn(office, visitor))).toBe(true)
    await guess(20, () => ({ address: office }))
    expect((await signIn(office)).status).toBe(429)
    expect(isLetIn(await signIn(office, visitor))).toBe(true)
  })

  test('at made-up accounts in a network does not make a person wait who signed in from there before, in any browser', async () => {
    expect(isLetIn(await signIn(office))).toBe(true)
    const used = allowances.network.burst + 30
    await guess(used, (n) => ({ address: office, email: `nobody${n}@example.com` }))
    await postern.database.query(`update throttles set expires_at = expires_at + interval '10 minutes'`) // however long it took
    const stranger = await atSignIn()
    expect((await stranger({ address: office, email: 'mallory@example.com' })).status).toBe(429)
    expect(isLetIn(await signIn(office))).toBe(true)
  })

  test('and keeps trying while having to wait takes no attempt from anybody', async () => {
    await guess(150, (n) => ({ address: `192.0.2.${n % 250}` }))
    const before = await postern.database.query('select key_hash, expires_at from throttles order by key_hash')
    const used = '192.0.2.1'
    await postern.database.query("update throttles set expires_at = expires_at + interval '1 day'")
    const waiting = await postern.database.query('select key_hash, expires_at from throttles order by key_hash')
    await guess(5, () => ({ address: used }))
    const after = await postern.database.query('select key_hash, expires_at from throttles order by key_hash')
    expect(before.length).toBeGreaterThan(0)
    expect(after).toEqual(waiting)
  })

  test('in a network that is over its limit cannot find out who signed in from there', async () => {
    expect(isLetIn(await signIn(office))).toBe(true)
    await guess(allowances.network.burst + 5, (n) => ({ address: office, email: `nobody${n}@example.com` }))
    await postern.database.query(`update throttles set expires_at = expires_at + interval '10 minutes'`) // however long it took
    const answers = []
    for (const name of [email, 'mallory@example.com', 'made-up@example.com']) {
      const answer = await (await atSignIn())({ address: office, email: name, password: 'wrong' })
      answers.push(shownRefusal(answer, name))
    }
    expect(answers[0]).toMatchObject({ status: 429 })
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('in a network that is over its limit leaves a line in the audit for each password that was checked, and for no other', async () => {
    expect(isLetIn(await signIn(office))).toBe(true)
    await guess(allowances.network.burst + 5, (n) => ({ address: office, email: `nobody${n}@example.com` }))
    await postern.database.query(`update throttles set expires_at = expires_at + interval '10 minutes'`) // however long it took
    const lines = (type: string) =>
      postern.database.query('select account_id, address, expires_at from audit_events where type = $1 order by id', [
        type,
      ])
    const [failed, tried] = [await lines('sign_in.failed'), await lines('sign_in.tried')]
    await guess(2, () => ({ address: office }))
    await guess(2, () => ({ address: office, email: 'mallory@example.com' }))
    const line = { account_id: accountId, address: office, expires_at: expect.any(Date) }
    expect(await lines('sign_in.tried')).toEqual([...tried, line, line])
    expect(await lines('sign_in.failed')).toEqual(failed)
  })

  test('at two processes has no more attempts than at one', async () => {
    const other = await serveBeside(postern)
    try {
      const throughSecond = createVisitor(postern.issuer, {
        fetch: redirectedTo(postern.issuer, `http://127.0.0.1:${other.port}`),
      })
      const sends = [await atSignIn(), await atSignIn(throughSecond)]
      const attempts = Array.from({ length: 40 }, (_, n) =>
        sends[n % 2]?.({ address: '192.0.2.1', password: `wrong ${n}` }),
      )
      const statuses = (await Promise.all(attempts)).map((answer) => answer?.status)
      expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(allowances.pair.burst)
      expect(other.port).not.toBe(postern.server.port)
    } finally {
      await other.stop()
    }
  })
})

describe('the cookie of a known browser', () => {
  test('is worthless for another account, when it was changed, and when it was made up', async () => {
    const visitor = createVisitor(postern.issuer)
    const send = await atSignIn(visitor)
    expect(isLetIn(await send({ address: home, email: 'mallory@example.com' }))).toBe(true)
    const key = 'postern_known /'
    const value = String(visitor.cookies.get(key)?.value)
    await guess(10, () => ({ address: office }))
    const forged = [value, `${value.slice(0, -2)}xx`, `W10.${value.split('.')[1]}`, 'x', '.', '']
    for (const cookie of forged) {
      const browser = createVisitor(postern.issuer)
      browser.cookies.set(key, { value: cookie, path: '/' })
      expect([cookie, (await signIn(office, browser)).status]).toEqual([cookie, 429])
    }
  })

  test('gives a limited number of attempts, after which the browser counts as unknown', async () => {
    const visitor = createVisitor(postern.issuer)
    expect(isLetIn(await signIn(home, visitor))).toBe(true)
    await guess(10, () => ({ address: office })) // the network has nothing left for the account
    const send = await atSignIn(visitor)
    const statuses = []
    for (let n = 0; n < allowances.knownBrowser.burst + 2; n++) {
      statuses.push((await send({ address: office, password: 'wrong' })).status)
    }
    expect(statuses).toEqual([...Array(allowances.knownBrowser.burst).fill(401), 429, 429])
  })

  test('gives no new attempts after signing in again, and does not contain the person’s name', async () => {
    const visitor = createVisitor(postern.issuer)
    await signIn(home, visitor)
    const entries = () => {
      const [payload = ''] = String(visitor.cookies.get('postern_known /')?.value).split('.')
      return JSON.parse(Buffer.from(payload, 'base64url').toString()) as unknown[][]
    }
    const [before] = entries()
    await signIn(home, visitor)
    expect(entries()).toHaveLength(1)
    expect(entries()[0]?.slice(0, 2)).toEqual(before?.slice(0, 2))
    expect(JSON.stringify(entries())).not.toContain('ada')
  })
})

/** Sends requests for the issuer to another process, as a load balancer does. */
function redirectedTo(issuer: string, address: string): typeof globalThis.fetch {
  const { host } = new URL(issuer)
  return (input, init) => {
    const url = new URL(String(input))
    const headers = { ...(init?.headers as Record<string, string>), 'x-forwarded-host': host }
    return fetch(new URL(url.pathname + url.search, address), { ...init, headers })
  }
}

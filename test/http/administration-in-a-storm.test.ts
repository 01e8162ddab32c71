import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, call, createAdministrator } from '../support/admin.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let bearer: string
let hashed: string

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com')
  bearer = await adminToken(postern, await createAdministrator(postern))
  hashed = await postern.server.postern.passwords.hash('somebody')
})
afterAll(() => postern?.stop())

const setPassword = (n: number, headers: Record<string, string> = {}) =>
  call(postern, '/accounts/ada@example.com/password', {
    method: 'PUT',
    bearer,
    body: { password: `a long password ${n}` },
    headers,
  })

/** Keeps a password queue full while `work` runs. */
async function whileBusy<T>(kind: 'hash' | 'verify', work: () => Promise<T>): Promise<T> {
  const { passwords } = postern.server.postern
  const once = () => (kind === 'hash' ? passwords.hash('x') : passwords.verify(hashed, 'x'))
  let isOver = false
  const busy = Array.from({ length: 90 }, async () => {
    while (!isOver) await once().catch(() => new Promise((resolve) => setImmediate(resolve)))
  })
  try {
    return await work()
  } finally {
    isOver = true
    await Promise.all(busy)
  }
}

describe('an administrator who sets passwords', () => {
  test('does not wait behind visitors, however many sign in', async () => {
    const answers = await whileBusy('verify', async () => {
      const all = []
      for (let n = 0; n < 5; n++) all.push(await setPassword(n))
      return all
    })
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  })

  test('gets 503 when too many are set at once, before anything is locked or written', async () => {
    const lines = () => postern.database.query(`select 1 from audit_events where type = 'account.password_set'`)
    const before = await lines()
    const answers = await whileBusy('hash', async () => {
      const all = []
      for (let n = 0; n < 5; n++) {
        postern.statements.length = 0
        const answer = await setPassword(n, n % 2 ? { 'idempotency-key': `storm ${n}` } : {})
        all.push({ answer, began: postern.statements.some((statement) => /^begin/i.test(statement)) })
      }
      return all
    })
    const refused = answers.filter(({ answer }) => answer.status !== 200)
    expect(refused.length).toBeGreaterThan(0)
    for (const { answer, began } of refused) {
      expect([answer.status, answer.json['type'], began]).toEqual([503, 'urn:postern:problem:unavailable', false])
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    expect(await lines()).toHaveLength(before.length + answers.length - refused.length)
  })
})

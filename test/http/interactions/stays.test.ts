import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
const servers: TestPostern[] = []
let asking: TestPostern
let never: TestPostern

beforeAll(async () => {
  ;[asking, never] = await Promise.all([startPostern(), startPostern({ STAY_SIGNED_IN: 'never' })])
  servers.push(asking, never)
  for (const server of servers) await server.createAccount(email)
})
afterAll(() => Promise.all(servers.map((server) => server.stop())))

describe('a sign-in', () => {
  async function begin(postern: TestPostern, computer: string[] | undefined) {
    const set: string[] = []
    const visitor = createVisitor(postern.issuer, {
      async fetch(address, init) {
        const response = await fetch(address, init)
        set.push(...response.headers.getSetCookie())
        return response
      },
    })
    const form = await visitor.get('/account')
    const wrong = await visitor.submit(form, '/sign-in', { email, password: 'wrong', ...(computer && { computer }) })
    const page = await visitor.submit(wrong, '/sign-in', {
      email,
      password: 'correct horse battery staple',
      ...(computer && { computer }),
    })
    expect(new URL(page.url).pathname).toBe('/account')
    const [{ seconds }] = (await postern.database.query(
      `select extract(epoch from expires_at - now())::int as seconds from sessions where account_id is not null
       order by last_seen_at desc limit 1`,
    )) as [{ seconds: number }]
    const ofSession = set.filter((line) => line.startsWith('postern_session=')).at(-1) ?? ''
    return { form, wrong, seconds, expires: /expires=/i.test(ofSession), isKnown: set.some((c) => /_known=/.test(c)) }
  }

  test('stays for as long as the settings say, if the person says nothing', async () => {
    const { form, seconds, expires, isKnown } = await begin(asking, undefined)
    expect(form.body).toContain('This is not my computer')
    expect(seconds).toBeGreaterThan(1_000_000)
    expect([expires, isKnown]).toEqual([true, true])
  })

  test('ends with the browser or after an hour, and leaves no trace, at a computer that is not the person’s own', async () => {
    const { wrong, seconds, expires, isKnown } = await begin(asking, ['mine', 'other'])
    expect(wrong.body).toMatch(/<input id="computer"[^>]* checked/)
    expect(seconds).toBeLessThanOrEqual(3_600)
    expect([expires, isKnown]).toEqual([false, false])
  })

  test('never stays where the settings say so, whatever a form claims', async () => {
    const { form, seconds, expires, isKnown } = await begin(never, ['mine'])
    expect(form.body).not.toContain('This is not my computer')
    expect(seconds).toBeLessThanOrEqual(3_600)
    expect([expires, isKnown]).toEqual([false, false])
  })
})

import type * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover } from '../../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
let postern: TestPostern
let config: oidc.Configuration
let visitor: Visitor

beforeAll(async () => {
  postern = await startPostern({ TERMS_VERSION: '2026-11', BRAND_TERMS_URL: 'https://example.com/terms' })
  config = await discover(postern, await postern.createClient({ client_name: 'Field Notes' }))
})
beforeEach(async () => {
  for (const table of ['throttles', 'accounts']) await postern.database.query(`delete from ${table}`)
  await postern.createAccount(email)
  await accepted('2025-01')
  visitor = createVisitor(postern.issuer)
})
afterAll(() => postern?.stop())

const accepted = (version: string | null) =>
  postern.database.query(
    `update accounts set terms_version = $1::text, terms_accepted_at = case when $1::text is null then null else timestamptz '2025-01-31' end`,
    [version],
  )
const stored = async () =>
  (
    await postern.database.query(
      `select terms_version, terms_accepted_at > now() - interval '1 minute' as is_new from accounts`,
    )
  )[0]
const begin = async (parameters = {}) =>
  (await beginLogin(config, { issuer: postern.issuer, visitor, ...parameters })).page
const signIn = async () => visitor.signIn(await begin(), email)
const answer = (page: Page, decision: string, fields = {}) => visitor.submit(page, '/terms', { decision, ...fields })

describe('terms of a new version', () => {
  test('come after the sign-in and before anything is issued, and once', async () => {
    const page = await signIn()
    expect(page.body).toContain('Please accept the new terms')
    expect(page.body).toContain('https://example.com/terms')
    expect(page.body).toContain('2026-11')
    expect(await postern.database.query(`select 1 from grants`)).toEqual([])
    expect((await answer(page, 'accept')).body).toContain('action="/interaction/')
    expect(await stored()).toEqual({ terms_version: '2026-11', is_new: true })
    const events = await postern.database.query(
      `select details, actor from audit_events where type = 'account.terms_accepted'`,
    )
    expect(events).toEqual([{ details: { terms: '2026-11' }, actor: null }])
    expect((await begin()).body).not.toContain('Please accept')
  })

  test('come up in a session that began before, and end a silent request', async () => {
    await accepted('2026-11')
    await signIn()
    await accepted('2025-01')
    expect((await begin()).body).toContain('Please accept the new terms')
    const silent = await begin({ prompt: 'none' })
    expect(new URL(silent.url).searchParams.get('error')).toBe('interaction_required')
  })

  test('come up for a person who has accepted none yet', async () => {
    await accepted(null)
    expect((await signIn()).body).toContain('Please accept the terms')
  })

  test('lead a person who declines to one page with one action', async () => {
    const page = await signIn()
    const declined = await answer(page, 'decline')
    expect(declined.body).toContain('You have not accepted the terms')
    expect(/<main[\s\S]*<\/main>/.exec(declined.body)?.[0].match(/<(a|button)\b/g)).toEqual(['<a'])
    expect(await stored()).toEqual({ terms_version: '2025-01', is_new: false })
    expect((await begin()).body).toContain('Please accept the new terms')
    // Who declines can still take their data with them, and go.
    const data = await visitor.get('/account/data')
    expect([new URL(data.url).pathname, data.body.includes('2025-01')]).toEqual(['/account/data', true])
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(data.body) ?? []
    const file = JSON.parse((await visitor.post('/account/data/export', { csrf })).body)
    expect(file.account.terms).toEqual({ version: '2025-01', accepted_at: '2025-01-31T00:00:00.000Z' })
  })

  test('are accepted only in the version that the person read, on a page of their own', async () => {
    const page = await signIn()
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page.body) ?? []
    const forged = await visitor.post(`${page.url}/terms`, { csrf: `${csrf}x`, decision: 'accept', version: '2026-11' })
    expect(forged.status).toBe(403)
    expect((await answer(page, 'accept', { version: '2026-10' })).body).toContain('Please accept the new terms')
    const other = createVisitor(postern.issuer)
    const open = await other.get('/account')
    const uid = new URL(open.url).pathname.split('/')[2] ?? ''
    const [, token = ''] = /name="csrf" value="([^"]+)"/.exec(open.body) ?? []
    expect(
      (await other.post(`${open.url}/terms`, { csrf: token, uid, decision: 'accept', version: '2026-11' })).status,
    ).toBe(400)
    expect(await stored()).toEqual({ terms_version: '2025-01', is_new: false })
  })
})

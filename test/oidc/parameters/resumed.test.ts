import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover } from '../../support/relying-party.ts'
import type { Page, Visitor } from '../../support/visitor.ts'

const [removed, kept] = ['https://rp.example/cb', 'https://other.example/cb']
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com')
})
afterAll(() => postern?.stop())

describe('RFC 6749 §4.1.2.1: a redirect URI that was removed while a page was open', () => {
  test.each<[string, (visitor: Visitor, page: Page) => Promise<Page>]>([
    ['a code', (visitor, page) => visitor.allow(page)],
    ['an error', (visitor, page) => visitor.submit(page, '/consent', { decision: 'deny' })],
  ])('does not receive %s', async (_, answer) => {
    const client = await postern.createClient({ redirect_uris: [removed, kept] })
    const request = { issuer: postern.issuer, redirect_uri: removed }
    const { page, visitor } = await beginLogin(await discover(postern, client), request)
    const consent = await visitor.signIn(page, 'ada@example.com')
    await operate(postern, 'client update', { client_id: client.client_id, redirect_uris: [kept] })
    const { status, url } = await answer(visitor, consent)
    expect([status, new URL(url).origin]).toEqual([400, postern.issuer])
  })
})

import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover } from '../../support/relying-party.ts'
import type { Page, Visitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
let postern: TestPostern
let client: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
})
afterAll(() => postern?.stop())

/** Gives the browser the cookie of a form that the server rejected, with these contents. */
function reject({ cookies }: Visitor, page: Page, refused: object): void {
  const { pathname: path } = new URL(page.url)
  const name = 'postern_refused'
  const value = Buffer.from(JSON.stringify({ uid: path.split('/')[2], ...refused })).toString('base64url')
  const [key = ''] = postern.server.postern.keyring.cookieKeys.reveal()
  const signature = createHmac('sha1', key).update(`${name}=${value}`).digest('base64url')
  cookies.set(`${name} ${path}`, { value, path })
  cookies.set(`${name}.sig ${path}`, { value: signature, path })
}

const begin = async () => beginLogin(await discover(postern, client), { issuer: postern.issuer, scope: 'openid email' })

describe('a form that a server of this release rejected', () => {
  test('has its problem on its page', async () => {
    const { page, visitor } = await begin()
    reject(visitor, page, { page: 'sign-in', error: 'wrong-credentials', email })
    const shown = await visitor.get(page.url)
    expect(shown.status).toBe(401)
    expect(shown.body).toContain('That email and password do not match.')
  })
})

describe('a form that a server of the previous release rejected', () => {
  test('leads to the sign-in page', async () => {
    const { page, visitor } = await begin()
    reject(visitor, page, { error: 'wrong-credentials', email })
    const shown = await visitor.get(page.url)
    expect(shown.status).toBe(200)
    expect(shown.body).toContain('name="password"')
  })

  test('leads to the consent page', async () => {
    const { page, visitor } = await begin()
    const consent = await visitor.signIn(page, email)
    reject(visitor, consent, { error: 'invalid-consent' })
    const shown = await visitor.get(consent.url)
    expect(shown.status).toBe(200)
    expect(shown.body).toContain('value="allow"')
  })
})

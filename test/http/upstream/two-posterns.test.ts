import { decodeJwt } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover } from '../../support/relying-party.ts'
import { administerUpstream, connectPosterns, continueWith } from '../../support/upstream.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

let [postern, home]: TestPostern[] = []
let app: ClientMetadata
let rp: oidc.Configuration

beforeAll(async () => {
  ;[postern, home] = await Promise.all([startPostern({ SIGN_UP: 'open' }), startPostern()])
  await connectPosterns(postern, home, { authority_domains: ['home.example'] })
  await home.createAccount('ada@home.example', { name: 'Ada Lovelace' })
  await home.createAccount('ada@elsewhere.example', { name: 'Ada Elsewhere' })
  app = await postern.createClient({ redirect_uris: ['https://rp.example/cb'] })
  rp = await discover(postern, app)
})
beforeEach(async () => {
  for (const table of ['throttles', 'accounts']) await postern?.database.query(`delete from ${table}`)
})
afterAll(() => Promise.all([postern?.stop(), home?.stop()]))

/** Walks through the sign-in at home, and returns the page here that it leads to. */
async function throughHome(visitor: Visitor, away: Page, email: string, atHome = createVisitor(home!.issuer)) {
  expect(new URL(away.url).origin).toBe(home!.issuer)
  const callback = await completeLogin({ page: await atHome.get(away.url), visitor: atHome }, email)
  return visitor.get(callback.href)
}

async function begin(parameters: Record<string, unknown> = {}) {
  return beginLogin(rp, { issuer: postern!.issuer, scope: 'openid email', ...parameters })
}

describe('a sign-in with an account at another Postern', () => {
  test('creates an account for a new person and signs them in, and the second time signs in to the same', async () => {
    const subjects = []
    for (const _ of [1, 2]) {
      const login = await begin()
      expect(login.page.body).toMatch(/Continue with .*Home/)
      const away = await continueWith(login.visitor, login.page)
      const page = await throughHome(login.visitor, away, 'ada@home.example')
      const callback = await completeLogin({ page, visitor: login.visitor }, '')
      const tokens = await oidc.authorizationCodeGrant(rp, callback, {
        pkceCodeVerifier: login.verifier,
        expectedNonce: login.nonce,
        expectedState: login.state,
      })
      subjects.push(decodeJwt(String(tokens.id_token))['sub'])
    }
    expect(new Set(subjects).size).toBe(1)
    const [account] = await postern!.database.query('select email, email_verified, profile from accounts')
    expect(account).toMatchObject({
      email: 'ada@home.example',
      email_verified: true,
      profile: { name: 'Ada Lovelace' },
    })
  })
})

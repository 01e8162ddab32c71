import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { type App, addApp } from '../../support/factors.ts'
import { mailsTo, mailTo } from '../../support/mailbox.ts'
import { administer } from '../../support/people.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover, type Login } from '../../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
const multiFactor = 'http://schemas.openid.net/pape/policies/2007/06/multi-factor'
const password = 'urn:oasis:names:tc:SAML:2.0:ac:classes:Password'

let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration
let accountId: string
let app: App

beforeAll(async () => {
  postern = await startPostern({ MAIL_SECOND_FACTOR: 'true' })
  client = await postern.createClient()
  config = await discover(postern, client)
})
beforeEach(async () => {
  for (const table of ['throttles', 'outbox', 'accounts']) await postern.database.query(`delete from ${table}`)
  accountId = (await postern.createAccount(email)).id
  app = await addApp(postern, accountId)
})
afterAll(() => postern?.stop())

const pathOf = (page: Page) => new URL(page.url).pathname.replace(/^\/interaction\/[^/]+/, '')

/** Gives the password, and returns the page after it. */
async function begin(visitor: Visitor = createVisitor(postern.issuer), parameters: Record<string, string> = {}) {
  const login = await beginLogin(config, { issuer: postern.issuer, visitor, ...parameters })
  return { ...login, visitor, page: await visitor.signIn(login.page, email) }
}
/** Goes on from a page after the sign-in to the tokens. */
async function redeem({ verifier, nonce, state, visitor }: Login, page: Page) {
  const url = await completeLogin({ page, visitor }, email)
  return oidc.authorizationCodeGrant(config, url, {
    pkceCodeVerifier: verifier,
    expectedNonce: nonce,
    expectedState: state,
  })
}
/** Whether a page is one after the sign-in. */
const isIn = (page: Page) => pathOf(page) === '' && page.body.includes('/consent')

describe('an account with an authenticator app', () => {
  test('signs in with its code after the password, and the token says so', async () => {
    const { visitor, page, ...login } = await begin()
    expect(pathOf(page)).toBe('/second-factor/totp')
    expect(page.body).toContain('autocomplete="one-time-code"')
    const after = await visitor.submit(page, '/second-factor/totp', { code: app.code() })
    const tokens = await redeem({ ...login, visitor, page }, after)
    expect(tokens.claims()?.['amr']).toEqual(['pwd', 'otp', 'mfa'])
    expect(tokens.claims()?.['acr']).toBe(multiFactor)
  })

  test('is not signed in before the code: the session, the account pages and another app know nobody', async () => {
    const { visitor } = await begin()
    const [row] = await postern.database.query('select count(*)::int as n from sessions where account_id is not null')
    expect(row).toEqual({ n: 0 })
    expect((await visitor.get('/account')).body).toContain('name="password"')
    const other = await beginLogin(config, { issuer: postern.issuer, visitor })
    expect(other.page.body).toContain('name="password"')
  })

  test.each(['000000', '', '1', '1234567', 'abcdef'])('is refused with the code %j', async (code) => {
    const { visitor, page } = await begin()
    const refused = await visitor.submit(page, '/second-factor/totp', { code })
    expect(refused.status).toBe(401)
    expect(refused.body).toContain('That code is not right')
    expect(isIn(await visitor.submit(refused, '/second-factor/totp', { code: app.code() }))).toBe(true)
  })

  test('accepts a code once, and none of an earlier step after it', async () => {
    const first = await begin()
    expect(isIn(await first.visitor.submit(first.page, '/second-factor/totp', { code: app.code(1) }))).toBe(true)
    for (const steps of [1, 0, -1]) {
      const { visitor, page } = await begin()
      const refused = await visitor.submit(page, '/second-factor/totp', { code: app.code(steps) })
      expect(refused.status).toBe(401)
    }
  })

  test('accepts no code of another account', async () => {
    const other = await addApp(postern, (await postern.createAccount('bob@example.com')).id)
    const { visitor, page } = await begin()
    const code = other.code()
    expect((await visitor.submit(page, '/second-factor/totp', { code })).status).toBe(401)
    const recovery = await visitor.get(`${new URL(page.url).pathname.replace('totp', 'recovery-code')}`)
    const refused = await visitor.submit(recovery, '/recovery-code', { code: other.recoveryCodes[0] ?? '' })
    expect(refused.status).toBe(401)
  })

  test('has few attempts, which a right code does not give back', async () => {
    const { visitor, page } = await begin()
    let last = page
    for (let attempt = 0; attempt < 6; attempt++) {
      last = await visitor.submit(last, '/second-factor/totp', { code: '000000' })
      expect(last.status).toBe(401)
    }
    const refused = await visitor.submit(last, '/second-factor/totp', { code: app.code() })
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(refused.body).toContain('Too many wrong codes')
  })

  test('has to begin again when something ends its sign-ins in between', async () => {
    const { visitor, page } = await begin()
    await administer(postern, 'sign-out', { account: accountId })
    const after = await visitor.submit(page, '/second-factor/totp', { code: app.code() })
    expect(after.body).toContain('name="password"')
  })

  test('does not go on in another browser, nor in another sign-in', async () => {
    const { visitor, page } = await begin()
    const stranger = createVisitor(postern.issuer)
    expect((await stranger.get(new URL(page.url).pathname)).body).not.toContain('one-time-code')
    const other = await beginLogin(config, { issuer: postern.issuer, visitor })
    const there = await visitor.get(`${new URL(other.page.url).pathname}/second-factor/totp`)
    expect(there.body).toContain('name="password"')
  })

  test('can be left for another account', async () => {
    const { visitor, page } = await begin()
    await postern.createAccount('bob@example.com')
    const signIn = await visitor.submit(page, '/switch', {})
    expect(isIn(await visitor.signIn(signIn, 'bob@example.com'))).toBe(true)
  })
})

describe('a recovery code', () => {
  const open = async () => {
    const begun = await begin()
    const path = new URL(begun.page.url).pathname.replace('totp', 'recovery-code')
    return { ...begun, page: await begun.visitor.get(path) }
  }

  test('signs in once, and a mail tells its owner', async () => {
    const [code = ''] = app.recoveryCodes
    const { visitor, page } = await open()
    expect(isIn(await visitor.submit(page, '/recovery-code', { code: code.toUpperCase().replaceAll('-', ' ') }))).toBe(
      true,
    )
    expect((await mailsTo(postern, email)).some(({ subject }) => subject.includes('recovery code was used'))).toBe(true)
    const again = await open()
    expect((await again.visitor.submit(again.page, '/recovery-code', { code })).status).toBe(401)
  })

  test('is stored only as a hash, as is everything else of a second factor', async () => {
    const stored = JSON.stringify(
      await postern.database.query(
        'select t::text as row from totp_secrets t union all select r::text from recovery_codes r',
      ),
    )
    const secrets = [...app.recoveryCodes.map((code) => code.replaceAll('-', '')), app.secret.toString('hex')]
    expect(stored.length).toBeGreaterThan(500)
    for (const value of [...secrets, app.secret.toString('base64url')]) expect(stored).not.toContain(value)
  })
})

describe('a code by mail as a second factor', () => {
  const send = async () => {
    const begun = await begin()
    const page = await begun.visitor.submit(begun.page, '/second-factor/mail/send', {})
    return { ...begun, page, code: (await mailTo(postern, email)).code }
  }

  test('signs in, but does not reach the level of two factors', async () => {
    const { visitor, page, code, ...login } = await send()
    const tokens = await redeem(
      { ...login, visitor, page },
      await visitor.submit(page, '/second-factor/mail', { code }),
    )
    expect(tokens.claims()?.['amr']).toEqual(['pwd', 'otp'])
    expect(tokens.claims()?.['acr']).toBe(password)
  })

  test('is not offered to an app that asks for two factors', async () => {
    const { page } = await begin(createVisitor(postern.issuer), {
      claims: JSON.stringify({ id_token: { acr: { essential: true, value: multiFactor } } }),
    })
    expect(page.body).not.toContain('/second-factor/mail')
    expect(page.body).toContain('recovery-code')
  })

  test('is not offered for an address that was never proven', async () => {
    await administer(postern, 'update', { account: accountId, email_verified: false })
    expect((await begin()).page.body).not.toContain('/second-factor/mail')
  })

  test('is refused when it is wrong', async () => {
    const { visitor, page, code } = await send()
    const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, '0')
    expect((await visitor.submit(page, '/second-factor/mail', { code: wrong })).status).toBe(401)
  })
})

describe('a remembered browser', () => {
  const remember = async () => {
    const { visitor, page } = await begin()
    const after = await visitor.submit(page, '/second-factor/totp', { code: app.code(), remember: 'yes' })
    expect(isIn(after)).toBe(true)
    await postern.database.query(`update sessions set destroyed_at = now() where account_id is not null`)
    return visitor
  }

  test('asks for the password alone, and the token does not claim more', async () => {
    const visitor = await remember()
    const { page, ...login } = await begin(visitor)
    expect(isIn(page)).toBe(true)
    const tokens = await redeem({ ...login, visitor, page }, page)
    expect(tokens.claims()?.['amr']).toEqual(['pwd'])
  })

  test('still asks where an app needs two factors', async () => {
    const visitor = await remember()
    const { page } = await begin(visitor, {
      claims: JSON.stringify({ id_token: { acr: { essential: true, value: multiFactor } } }),
    })
    expect(pathOf(page)).toBe('/second-factor/totp')
  })

  test.each([
    ['the sign-ins of the account are ended', () => administer(postern, 'sign-out', { account: accountId })],
    ['its time is over', () => postern.database.query(`update remembered_devices set expires_at = now()`)],
  ])('is forgotten when %s', async (_what, end) => {
    const visitor = await remember()
    await end()
    expect(pathOf((await begin(visitor)).page)).toBe('/second-factor/totp')
  })

  test('is remembered for one account, not for others', async () => {
    const visitor = await remember()
    await addApp(postern, (await postern.createAccount('bob@example.com')).id)
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor })
    expect(pathOf(await visitor.signIn(page, 'bob@example.com'))).toBe('/second-factor/totp')
  })
})

describe('step-up (RFC 9470)', () => {
  const essential = JSON.stringify({ id_token: { acr: { essential: true, value: multiFactor } } })

  test('asks a signed-in person only for the missing factor, and each token keeps what was true of its own login', async () => {
    await postern.database.query('delete from totp_secrets')
    const { visitor, page, ...login } = await begin(undefined, { scope: 'openid offline_access', prompt: 'consent' })
    const before = await redeem({ ...login, visitor, page }, page)
    expect(before.claims()?.['acr']).toBe(password)
    app = await addApp(postern, accountId)
    const asked = await beginLogin(config, { issuer: postern.issuer, visitor, claims: essential })
    expect(pathOf(asked.page)).toBe('/second-factor/totp')
    const done = await visitor.submit(asked.page, '/second-factor/totp', { code: app.code() })
    const after = await redeem(asked, done)
    expect(after.claims()?.['acr']).toBe(multiFactor)
    expect(after.claims()?.auth_time).toBe(before.claims()?.auth_time)
    const refreshed = await oidc.refreshTokenGrant(config, before.refresh_token ?? '')
    expect(refreshed.claims()?.['acr']).toBe(password)
  })

  test('offers to set up a factor where the account has none, and nothing is issued before', async () => {
    await postern.database.query('delete from totp_secrets')
    await postern.database.query('delete from recovery_codes')
    await administer(postern, 'update', { account: accountId, email_verified: false })
    const { page } = await begin(createVisitor(postern.issuer), { claims: essential })
    expect(pathOf(page)).toBe('/enrol')
  })

  test('by acr_values is voluntary', async () => {
    await postern.database.query('delete from totp_secrets')
    await postern.database.query('delete from recovery_codes')
    const { page } = await begin(createVisitor(postern.issuer), { acr_values: multiFactor })
    expect(isIn(page)).toBe(true)
  })

  test('is in the metadata', async () => {
    const { acr_values_supported: levels } = config.serverMetadata()
    expect(levels).toEqual(['phr', multiFactor, password])
  })
})

import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { discover } from '../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../support/visitor.ts'
import { age, send } from '../support/wire.ts'

const email = 'ada@example.com'
const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
let postern: TestPostern
let tv: ClientMetadata
let config: oidc.Configuration

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  await postern.createAccount('grace@example.com')
  tv = await postern.createClient({
    client_name: 'Living room TV',
    grant_types: [grant_type, 'refresh_token'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'none',
  })
  config = await discover(postern, tv)
})
beforeEach(() => postern.database.query('delete from throttles'))
afterAll(() => postern?.stop())

const begin = (scope = 'openid email') => oidc.initiateDeviceAuthorization(config, { scope })

const poll = (device_code: string, client_id = tv.client_id) =>
  send(postern, '/oauth/token', { form: { grant_type, device_code, client_id } })

async function enter(visitor: Visitor, user_code: string): Promise<Page> {
  return visitor.submit(await visitor.get('/device'), '/device', { user_code })
}

const confirm = (visitor: Visitor, page: Page) => visitor.submit(page, '/device', { confirm: 'yes' })

/** Signs in and allows, as far as the pages ask for it. */
async function approve(visitor: Visitor, page: Page, scopes?: string[]): Promise<Page> {
  let current = page
  for (let step = 0; step < 4 && current.url.includes('/interaction/'); step++) {
    current = current.body.includes('name="password"')
      ? await visitor.signIn(current, email)
      : await visitor.allow(current, scopes)
  }
  return current
}

describe('RFC 8628 §3: the device flow through the pages', () => {
  test('gives the device its tokens, once, after the code is entered and confirmed, with a sign-in and consent', async () => {
    const started = await begin('openid email offline_access')
    expect(started).toMatchObject({ verification_uri: `${postern.issuer}/device`, expires_in: 600 })
    expect(started.user_code).toMatch(/^[A-Z]{4}-[A-Z]{4}$/)
    const tokens = oidc.pollDeviceAuthorizationGrant(config, { ...started, interval: 1 })
    const visitor = createVisitor(postern.issuer)
    const shown = await enter(visitor, started.user_code)
    expect(shown.body).toContain('Living room TV')
    expect(shown.body).toContain(started.user_code)
    const done = await approve(visitor, await confirm(visitor, shown))
    expect([done.status, done.body.includes('Your device is connected')]).toEqual([200, true])

    const { access_token, refresh_token } = await tokens
    const userinfo = await oidc.fetchUserInfo(config, access_token, oidc.skipSubjectCheck)
    expect(userinfo).toMatchObject({ email })
    expect((await oidc.refreshTokenGrant(config, String(refresh_token))).access_token).toBeTruthy()
    expect((await poll(started.device_code)).json['error']).toBe('invalid_grant')
  })

  test('§3.3.1: fills in the code from verification_uri_complete, and still asks to confirm it', async () => {
    const { verification_uri_complete, user_code, device_code } = await begin()
    const visitor = createVisitor(postern.issuer)
    const page = await visitor.submit(await visitor.get(String(verification_uri_complete)), '/device')
    expect(page.body).toContain('Does your device show this code?')
    expect(page.body).toContain(user_code)
    expect((await poll(device_code)).json['error']).toBe('authorization_pending')
  })

  test('gives the device only the ticked scopes', async () => {
    const { user_code, device_code } = await begin()
    const visitor = createVisitor(postern.issuer)
    const person = await postern.createAccount('picky@example.com')
    let page = await confirm(visitor, await enter(visitor, user_code))
    page = await visitor.allow(await visitor.signIn(page, person.email), [])
    expect((await poll(device_code)).json['scope']).toBe('openid')
  })

  test.each<[string, (code: string) => string]>([
    ['in lower case', (code) => code.toLowerCase()],
    ['without the dash', (code) => code.replace('-', '')],
    ['with spaces', (code) => ` ${code.replace('-', ' ')} `],
  ])('§6.1: accepts the code %s', async (_how, write) => {
    const { user_code } = await begin()
    const page = await enter(createVisitor(postern.issuer), write(user_code))
    expect(page.body).toContain('Does your device show this code?')
  })
})

describe('RFC 8628 §3.5: the device', () => {
  test('receives authorization_pending before and while the person signs in', async () => {
    const { user_code, device_code } = await begin()
    expect(await poll(device_code)).toMatchObject({ status: 400, json: { error: 'authorization_pending' } })
    const visitor = createVisitor(postern.issuer)
    await confirm(visitor, await enter(visitor, user_code))
    await postern.database.query('delete from throttles')
    expect((await poll(device_code)).json['error']).toBe('authorization_pending')
  })

  test('receives access_denied when the person says that the code is not theirs', async () => {
    const { user_code, device_code } = await begin()
    const visitor = createVisitor(postern.issuer)
    const done = await visitor.submit(await enter(visitor, user_code), '/device', { abort: 'yes' })
    expect(done.body).toContain('Your device was not connected')
    expect(await poll(device_code)).toMatchObject({ status: 400, json: { error: 'access_denied' } })
  })

  test('receives access_denied when the person cancels at the sign-in, or denies at the consent', async () => {
    const cancelled = await begin()
    const visitor = createVisitor(postern.issuer)
    const signIn = await confirm(visitor, await enter(visitor, cancelled.user_code))
    expect((await visitor.submit(signIn, '/abort')).body).toContain('Your device was not connected')
    expect((await poll(cancelled.device_code)).json['error']).toBe('access_denied')

    const denied = await begin()
    const page = await confirm(visitor, await enter(visitor, denied.user_code))
    const { email: fresh } = await postern.createAccount('denier@example.com')
    const consent = await visitor.signIn(page, fresh)
    const done = await visitor.submit(consent, '/consent', { decision: 'deny' })
    expect(done.body).toContain('Your device was not connected')
    expect((await poll(denied.device_code)).json['error']).toBe('access_denied')
  })

  test('receives expired_token afterwards, and the person sees that too', async () => {
    const { user_code, device_code } = await begin()
    await age(postern, 'DeviceCode', 620)
    expect(await poll(device_code)).toMatchObject({ status: 400, json: { error: 'expired_token' } })
    const page = await enter(createVisitor(postern.issuer), user_code)
    expect([page.status, page.body.includes('That code has expired')]).toEqual([400, true])
  })

  test('receives invalid_grant for a code of another client, an unknown code, or the hash of one', async () => {
    const { device_code } = await begin()
    const other = await postern.createClient({
      grant_types: [grant_type],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'none',
    })
    expect((await poll(device_code, other.client_id)).json['error']).toBe('invalid_grant')
    const rows = await postern.database.query(
      `select encode(id_hash, 'hex') as hash from artifacts where model = 'DeviceCode'`,
    )
    for (const code of ['unknown', device_code.slice(0, -1), ...rows.map(({ hash }) => `#${hash}`)]) {
      expect((await poll(code)).json['error']).toBe('invalid_grant')
    }
  })
})

describe('RFC 8628 §5: under attack', () => {
  test('§5.1: an unknown code is not found', async () => {
    const page = await enter(createVisitor(postern.issuer), 'BBBB-BBBB')
    expect([page.status, page.body.includes('We do not know that code')]).toEqual([400, true])
  })

  test('§5.1: guesses are limited across all browsers, and then even a valid code has to wait', async () => {
    const { user_code } = await begin()
    let last: Page | undefined
    for (let n = 0; n < 12; n++) last = await enter(createVisitor(postern.issuer), `BBBB-BBB${'BCDFGHJKLMNP'[n]}`)
    expect(last?.status).toBe(429)
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await enter(createVisitor(postern.issuer), user_code)).status).toBe(429)
  })

  test('§5.1: requests from another site, or without the session of a form, do not count as guesses', async () => {
    postern.logged.length = 0
    const visitor = createVisitor(postern.issuer)
    await visitor.get('/device')
    const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
    for (let n = 0; n < 15; n++) {
      const statuses = [
        await visitor.post('/device', { x: '1' }, evil),
        await createVisitor(postern.issuer).post('/device', { x: '1' }, evil),
        await createVisitor(postern.issuer).post('/device', { user_code: 'BBBB-BBBB', xsrf: 'x' }),
        await visitor.post('/device', { user_code: 'BBBB-BBBB', xsrf: 'guessed' }),
        await visitor.post('/device', { user_code: 'BBBB-BBBB' }, { 'sec-fetch-site': 'same-site' }),
      ].map(({ status, headers }) => [status, headers.get('content-type')?.startsWith('text/html')])
      expect(statuses).toEqual([403, 403, 400, 400, 403].map((status) => [status, true]))
    }
    const forged = createVisitor(postern.issuer)
    forged.cookies.set('postern_session /', { value: 'made-up', path: '/' })
    expect((await forged.post('/device', { user_code: 'BBBB-BBBB', xsrf: 'x' })).status).toBe(400)
    expect(await postern.database.query('select 1 from throttles')).toEqual([])
    expect(postern.logged.some((line) => JSON.parse(line).level >= 50)).toBe(false)
    const { user_code } = await begin()
    expect((await enter(visitor, user_code)).status).toBe(200)
  })

  test('§5.1: valid codes do not count as guesses', async () => {
    for (let n = 0; n < 12; n++) {
      const { user_code } = await begin('openid')
      expect((await enter(createVisitor(postern.issuer), user_code)).status).toBe(200)
    }
  })

  test('a code that was approved or denied cannot be decided again', async () => {
    const visitor = createVisitor(postern.issuer)
    const approved = await begin()
    await approve(visitor, await confirm(visitor, await enter(visitor, approved.user_code)))
    const denied = await begin()
    await visitor.submit(await enter(visitor, denied.user_code), '/device', { abort: 'yes' })
    for (const { user_code } of [approved, denied]) {
      const page = await enter(createVisitor(postern.issuer), user_code)
      expect([page.status, page.body.includes('That code has been used already')]).toEqual([400, true])
    }
    expect((await poll(approved.device_code)).status).toBe(200)
    expect((await poll(denied.device_code)).json['error']).toBe('access_denied')
  })

  test('a code is decided by the person who confirms it first, even if two have opened it', async () => {
    const { user_code, device_code } = await begin()
    const [one, two] = [createVisitor(postern.issuer), createVisitor(postern.issuer)]
    const [seenByOne, seenByTwo] = [await enter(one, user_code), await enter(two, user_code)]
    const signIn = await confirm(one, seenByOne)
    const late = await confirm(two, seenByTwo)
    expect([late.status, late.body.includes('used already')]).toEqual([400, true])
    const denied = await two.submit(seenByTwo, '/device', { abort: 'yes' })
    expect(denied.body).not.toContain('Your device was not connected')
    await approve(one, signIn)
    expect((await poll(device_code)).status).toBe(200)
  })

  test('§5.4: a form from elsewhere, without the secret of this browser, decides nothing', async () => {
    const { user_code, device_code } = await begin()
    const visitor = createVisitor(postern.issuer)
    await enter(visitor, user_code)
    const page = await visitor.post('/device', { user_code, confirm: 'yes', xsrf: 'guessed' })
    expect(page.status).toBe(400)
    expect((await poll(device_code)).json['error']).toBe('authorization_pending')
    expect((await enter(visitor, user_code)).status).toBe(200)
  })

  test('RFC 8707 §2.2: a token for an API that the device did not request is rejected', async () => {
    const [asked, other] = ['https://asked.example/', 'https://other.example/']
    for (const identifier of [asked, other]) await postern.createResource({ identifier, scopes: { read: 'Read' } })
    const { user_code, device_code } = await oidc.initiateDeviceAuthorization(config, {
      scope: 'openid read',
      resource: asked,
    })
    const visitor = createVisitor(postern.issuer)
    await approve(visitor, await confirm(visitor, await enter(visitor, user_code)))
    const redeem = (resource: string | string[]) =>
      send(postern, '/oauth/token', { form: { grant_type, device_code, client_id: tv.client_id, resource } })
    for (const resource of [other, [asked, other], 'https://nowhere.example/']) {
      expect((await redeem(resource)).json['error']).toBe('invalid_target')
    }
    expect((await redeem(asked)).json).toMatchObject({ scope: 'read' })
  })

  test('a client that is disabled in between gets nothing', async () => {
    const other = await postern.createClient({
      grant_types: [grant_type],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'none',
    })
    const begun = await send(postern, '/oauth/device_authorization', {
      form: { client_id: other.client_id, scope: 'openid' },
    })
    await operate(postern, 'client disable', { client_id: other.client_id })
    const { json } = await poll(String(begun.json['device_code']), other.client_id)
    expect(json['error']).toMatch(/^invalid_(client|grant)$/)
    const page = await enter(createVisitor(postern.issuer), String(begun.json['user_code']))
    expect(page.status).toBe(400)
  })
})

describe('RFC 8628 §3.1: the device authorization request', () => {
  test('is rejected for a client that is unknown, is not registered for the grant, or exceeds its scope', async () => {
    const web = await postern.createClient()
    const ask = (form: Record<string, string>, client?: ClientMetadata) =>
      send(postern, '/oauth/device_authorization', { form, client })
    expect((await ask({ scope: 'openid' }, web)).status).toBe(400)
    expect((await ask({ client_id: 'nobody', scope: 'openid' })).json['error']).toBe('invalid_client')
    const narrow = await postern.createClient({
      grant_types: [grant_type],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'none',
      scope: 'openid',
    })
    const wide = await ask({ client_id: narrow.client_id, scope: 'openid email' })
    expect(wide.json['error']).toBe('invalid_scope')
  })
})

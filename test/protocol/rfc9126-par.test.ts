import * as oidc from 'openid-client'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import * as expired from '../../src/stores/operations/expired.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { completeLogin, discover, visit } from '../support/relying-party.ts'
import { age, answerOf, send } from '../support/wire.ts'

const email = 'ada@example.com'
const verifier = oidc.randomPKCECodeVerifier()
let request: Record<string, string>
let postern: TestPostern
let client: ClientMetadata
let other: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
  other = await postern.createClient()
  request = {
    response_type: 'code',
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
})
afterAll(() => postern?.stop())
afterEach(() => vi.useRealTimers())

const push = (who: ClientMetadata | undefined, differing: Record<string, string> = {}) =>
  send(postern, '/oauth/par', { client: who, form: { client_id: client.client_id, ...request, ...differing } })

const use = (request_uri: unknown, who = client, more = {}) =>
  visit(
    postern,
    `/oauth/authorize?${new URLSearchParams({ client_id: who.client_id, request_uri: String(request_uri), ...more })}`,
  )

describe('RFC 9126 §2: a pushed authorization request', () => {
  test('leads to a login like one in the browser', async () => {
    const config = await discover(postern, client)
    const state = oidc.randomState()
    const url = await oidc.buildAuthorizationUrlWithPAR(config, { ...request, state })
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri'])
    const callback = await completeLogin(await visit(postern, url), email)
    const tokens = await oidc.authorizationCodeGrant(config, callback, {
      pkceCodeVerifier: verifier,
      expectedState: state,
    })
    expect(tokens.id_token).toBeTruthy()
  })

  test('§2.2: is answered with a request_uri and its lifetime', async () => {
    const { status, json, headers } = await push(client)
    expect(status).toBe(201)
    expect(json).toEqual({
      request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:.{43,}$/),
      expires_in: 60,
    })
    expect(headers.get('cache-control')).toBe('no-store')
  })

  test('§2.1: requires the credentials of the client', async () => {
    const attempts = [await push(undefined), await push({ ...client, client_secret: 'wrong' }), await push(other)]
    for (const { status, json } of attempts) {
      expect([400, 401]).toContain(status)
      expect(json['error']).toMatch(/^invalid_(client|request)$/)
      expect(json).not.toHaveProperty('request_uri')
    }
  })

  test('§2.3: is checked when it is pushed', async () => {
    const wrong: [Record<string, string>, string][] = [
      [{ redirect_uri: 'https://evil.example/cb' }, 'invalid_request'],
      [{ redirect_uri: 'https://rp.example/cb/new' }, 'invalid_request'],
      [{ response_type: 'token' }, 'unsupported_response_type'],
      [{ code_challenge: '' }, 'invalid_request'],
      [{ code_challenge_method: 'plain' }, 'invalid_request'],
      [{ request_uri: 'urn:ietf:params:oauth:request_uri:x' }, 'request_uri_not_supported'],
    ]
    for (const [differing, error] of wrong) {
      const { status, json } = await push(client, differing)
      expect([differing, status, json['error']]).toEqual([differing, 400, error])
    }
  })

  test('is rejected with GET (§2.1)', async () => {
    expect((await send(postern, '/oauth/par', { client })).status).toBe(405)
  })
})

describe('RFC 9126 §4: the request_uri', () => {
  test('cannot be used by another client', async () => {
    const { json } = await push(client)
    const { page } = await use(json['request_uri'], other)
    expect([page.status, new URL(page.url).origin]).toEqual([400, postern.issuer])
  })

  test('is not affected by parameters beside it', async () => {
    const { json } = await push(client, { state: 'pushed' })
    const more = { state: 'other', redirect_uri: 'https://evil.example/cb', scope: 'openid email' }
    const callback = await completeLogin(await use(json['request_uri'], client, more), email)
    expect(callback.href).toMatch(/^https:\/\/rp\.example\/cb\?/)
    expect(answerOf(callback)['state']).toBe('pushed')
  })

  test('is valid for one login', async () => {
    const { json } = await push(client)
    const first = await use(json['request_uri'])
    const second = await use(json['request_uri'])
    expect(answerOf(await completeLogin(first, email))).toHaveProperty('code')
    const replay = await completeLogin(second, email).then(answerOf, () => ({}))
    expect(replay).not.toHaveProperty('code')
    const later = await use(json['request_uri'])
    expect(later.page.url).not.toContain('/interaction/')
    expect(later.page.body).toContain('invalid_request_uri')
  })

  test('is valid for one login, however long two of them are open', async () => {
    const { json } = await push(client)
    const first = await use(json['request_uri'])
    const second = await use(json['request_uri'])
    await age(postern, 'PushedAuthorizationRequest', 3_000)
    while ((await expired.deleteBatch(postern.server.postern.database.db, 'artifacts', 100)) > 0);
    expect(answerOf(await completeLogin(first, email))).toHaveProperty('code')
    const replay = await completeLogin(second, email).then(answerOf, () => ({}))
    expect(replay).not.toHaveProperty('code')
  })

  test('is rejected after its expiry, and if it is unknown', async () => {
    const { json } = await push(client)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    for (const uri of [json['request_uri'], 'urn:ietf:params:oauth:request_uri:unknown']) {
      const { page } = await use(uri)
      expect([page.status, page.body.includes('invalid_request_uri')]).toEqual([400, true])
    }
  })

  test('is not fetched if it is of another kind (§3 defines only URNs of this server)', async () => {
    const { page } = await use('https://rp.example/request.jwt')
    expect(page.status).toBe(400)
    expect(page.body).toContain('request_uri_not_supported')
  })
})

describe('RFC 9126 §6: require_pushed_authorization_requests', () => {
  test('makes any other request of the client fail', async () => {
    const strict = await postern.createClient({ require_pushed_authorization_requests: true })
    const config = await discover(postern, strict)
    const refused = await visit(postern, oidc.buildAuthorizationUrl(config, request))
    expect(answerOf(refused.page.url)).toMatchObject({ error: 'invalid_request' })
    const pushed = await visit(postern, await oidc.buildAuthorizationUrlWithPAR(config, request))
    expect(answerOf(await completeLogin(pushed, email))).toHaveProperty('code')
  })
})

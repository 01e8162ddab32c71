import { jwtVerify } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createReceiver, type Receiver } from '../support/receiver.ts'
import { login } from '../support/relying-party.ts'
import type { Visitor } from '../support/visitor.ts'
import { publishedKeys } from '../support/wire.ts'

const email = 'ada@example.com'
let postern: TestPostern
let receiver: Receiver

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
})
beforeEach(async () => {
  receiver = await createReceiver()
})
afterEach(() => receiver.stop())
afterAll(() => postern?.stop())

const listening = (path = '/logout', metadata: Record<string, unknown> = {}) =>
  postern.createClient({
    backchannel_logout_uri: `${receiver.url}${path}`,
    backchannel_logout_session_required: true,
    ...metadata,
  })

async function leave(visitor: Visitor, fields: Record<string, string> = { logout: 'yes' }, query = '') {
  return visitor.submit(await visitor.get(`/oauth/logout${query}`), '/oauth/logout/confirm', fields)
}

const tokenIn = (body: string) => String(new URLSearchParams(body).get('logout_token'))

describe('OpenID Connect Back-Channel Logout §2.5: when a person signs out', () => {
  test('the client receives a logout token that it can verify', async () => {
    const client = await listening()
    const { tokens, visitor } = await login(postern, client, { email })
    const claims = tokens.claims()
    expect(claims).toHaveProperty('sid')
    await leave(visitor)

    expect(receiver.received).toHaveLength(1)
    const [{ method, path, headers, body }] = receiver.received as [Receiver['received'][0]]
    expect([method, path]).toEqual(['POST', '/logout'])
    expect(headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/)
    expect([...new URLSearchParams(body).keys()]).toEqual(['logout_token'])

    const { payload } = await jwtVerify(tokenIn(body), await publishedKeys(postern), {
      issuer: postern.issuer,
      audience: client.client_id,
      typ: 'logout+jwt',
      maxTokenAge: '2 min',
      requiredClaims: ['iat', 'exp', 'jti', 'events'],
    })
    expect(payload).toMatchObject({
      sub: claims?.sub,
      sid: claims?.['sid'],
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    })
    expect(payload).not.toHaveProperty('nonce')
  })

  test('the logout token has the client’s pairwise subject and algorithm', async () => {
    const client = await listening('/logout', { subject_type: 'pairwise', id_token_signed_response_alg: 'ES256' })
    const { tokens, visitor } = await login(postern, client, { email })
    await leave(visitor)
    const { payload } = await jwtVerify(tokenIn(String(receiver.received[0]?.body)), await publishedKeys(postern), {
      algorithms: ['ES256'],
      typ: 'logout+jwt',
    })
    expect(payload.sub).toBe(tokens.claims()?.sub)
  })

  test('every client of the session is notified, and no other client', async () => {
    const [one, two, absent] = [await listening('/one'), await listening('/two'), await listening('/absent')]
    const elsewhere = await login(postern, absent, { email })
    const { visitor } = await login(postern, one, { email })
    await login(postern, two, { email, visitor })
    await leave(visitor)
    expect(receiver.received.map(({ path }) => path).sort()).toEqual(['/one', '/two'])

    receiver.received.length = 0
    await leave(elsewhere.visitor)
    expect(receiver.received.map(({ path }) => path)).toEqual(['/absent'])
  })

  test('only the app that asked is notified if the person stays signed in', async () => {
    const [one, two] = [await listening('/one'), await listening('/two')]
    const { visitor } = await login(postern, one, { email })
    await login(postern, two, { email, visitor })
    await leave(visitor, {}, `?client_id=${one.client_id}`)
    expect(receiver.received.map(({ path }) => path)).toEqual(['/one'])
  })

  test('nobody is notified if the person only opened the page', async () => {
    const { visitor } = await login(postern, await listening(), { email })
    await visitor.get('/oauth/logout')
    await visitor.post('/oauth/logout/confirm', { logout: 'yes', xsrf: 'guessed' })
    expect(receiver.received).toEqual([])
  })
})

describe('OpenID Connect Back-Channel Logout §2.8: a client that cannot be notified', () => {
  test('neither keeps the person signed in nor prevents the notification of others', async () => {
    const failing = await createReceiver({ status: 500 })
    const one = await postern.createClient({ backchannel_logout_uri: `${failing.url}/logout` })
    const gone = await postern.createClient({ backchannel_logout_uri: 'http://127.0.0.1:9/logout' })
    const good = await listening()
    try {
      const { visitor } = await login(postern, one, { email })
      await login(postern, gone, { email, visitor })
      await login(postern, good, { email, visitor })
      const done = await leave(visitor)
      expect([done.status, failing.received.length, receiver.received.length]).toEqual([200, 1, 1])
    } finally {
      await failing.stop()
    }
  })

  test('gets no sid unless it registered for one', async () => {
    const client = await listening('/logout', { backchannel_logout_session_required: false })
    const { visitor, tokens } = await login(postern, client, { email })
    await leave(visitor)
    const { payload } = await jwtVerify(tokenIn(String(receiver.received[0]?.body)), await publishedKeys(postern), {
      typ: 'logout+jwt',
    })
    expect(payload).not.toHaveProperty('sid')
    expect(payload.sub).toBe(tokens.claims()?.sub)
  })
})

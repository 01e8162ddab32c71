import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addresses } from '../../src/oidc/endpoints.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize } from '../support/relying-party.ts'
import { createVisitor, formsOf } from '../support/visitor.ts'
import { knock, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
let postern: TestPostern
let client: ClientMetadata
let host: string

beforeAll(async () => {
  postern = await startPostern()
  host = new URL(postern.issuer).host
  await postern.createAccount(email)
  client = await postern.createClient()
})
afterAll(() => postern?.stop())

const spellings = (path: string) => [path.toUpperCase(), path.replace('o', 'O').replace('dev', 'Dev')]

/** Gives an address with the extra slashes that careless joining adds. */
const joined = (path: string) => [
  `/${path}`,
  `${path}/`,
  `${path}//`,
  `//${path}///`,
  path.replaceAll('/', '//'),
  path.replace(/\/([^/]*)$/, '//$1'),
]

describe('an extra slash', () => {
  test.each(addresses.map(({ path, methods }) => [path, methods] as const))(
    'makes no other address of %s',
    async (pattern, methods) => {
      const path = pattern.replace(/:[a-z_]+/g, 'abc')
      for (const method of methods.filter((name) => name !== 'OPTIONS')) {
        const ask = async (spelled: string) => {
          const { status, json } = await knock(postern.config.PORT, spelled, { method, headers: { host } })
          return [status, json['error']]
        }
        const expected = await ask(path)
        for (const spelled of path === '/' ? ['//', '///'] : joined(path)) {
          expect([spelled, ...(await ask(spelled))]).toEqual([spelled, ...expected])
        }
      }
    },
  )

  test('changes no byte of the metadata', async () => {
    const metadata = '/.well-known/openid-configuration'
    const { text } = await knock(postern.config.PORT, metadata, { headers: { host } })
    for (const spelled of joined(metadata)) {
      expect((await knock(postern.config.PORT, spelled, { headers: { host } })).text).toBe(text)
    }
  })

  test('does not let a code be redeemed twice', async () => {
    const begun = await authorize(postern, client, { email })
    const form = {
      grant_type: 'authorization_code',
      code: String(begun.callback.searchParams.get('code')),
      redirect_uri: 'https://rp.example/cb',
      code_verifier: begun.verifier,
    }
    const redeemAt = (path: string) => send(postern, path, { client, form })
    expect((await redeemAt('/oauth//token/')).status).toBe(200)
    expect((await redeemAt('/oauth/token')).json['error']).toBe('invalid_grant')
  })

  test('does not reset the count of guessed user codes (RFC 8628 §5.1)', async () => {
    const visitor = createVisitor(postern.issuer)
    let page = await visitor.get('/device')
    const statuses: number[] = []
    for (let n = 0; n < 12; n++) {
      const path = ['/device', '/device/', '/device//'][n % 3]
      const [form] = formsOf(page.body)
      page = await visitor.post(String(path), { ...form?.hidden, user_code: 'BBBB-BBBB' })
      statuses.push(page.status)
    }
    expect(statuses).toContain(429)
  })

  test('makes no unknown address known, and is rejected by the admin API', async () => {
    for (const path of ['/nowhere/', '//nowhere', '//evil.example/', '/admin/api/clients/', '/admin//api/clients']) {
      const { status } = await knock(postern.config.PORT, path, { headers: { host } })
      expect([path, status]).toEqual([path, 404])
    }
  })

  test('does not make the log contain a secret identifier', async () => {
    for (const pattern of ['/interaction/', '/oauth/authorize/', '/device/', '/oauth/register/']) {
      for (const path of joined(`${pattern}a-holders-identifier`)) {
        await knock(postern.config.PORT, path, { headers: { host } })
      }
    }
    expect(postern.logged.filter((line) => line.includes('a-holders-identifier'))).toEqual([])
  })
})

describe('a path has one spelling, so that no other spelling evades a decision made by path:', () => {
  test('the token endpoint has no other', async () => {
    const begun = await authorize(postern, client, { email })
    const form = { grant_type: 'authorization_code', code: String(begun.callback.searchParams.get('code')) }
    for (const path of spellings('/oauth/token')) {
      expect([path, (await send(postern, path, { client, form })).status]).toEqual([path, 404])
    }
    expect((await redeem(postern, begun, { client })).status).toBe(200)
  })

  test('RFC 8628 §5.1: the page for user codes, which counts guesses, has no other', async () => {
    const visitor = createVisitor(postern.issuer)
    const page = await visitor.get('/device')
    expect(page.status).toBe(200)
    for (const path of spellings('/device')) {
      const guess = await visitor.post(path, { user_code: 'AAAA-AAAA' })
      expect([path, guess.status]).toEqual([path, 404])
    }
  })

  test('the authorization endpoint, where the engine reads its own stored requests, has no other', async () => {
    const pushed = await send(postern, '/oauth/par', {
      client,
      form: {
        client_id: client.client_id,
        response_type: 'code',
        redirect_uri: 'https://rp.example/cb',
        scope: 'openid',
        code_challenge: 'x'.repeat(43),
        code_challenge_method: 'S256',
      },
    })
    expect(pushed.status).toBe(201)
    const [row] = await postern.database.query(
      `select encode(id_hash, 'hex') as hash from artifacts where model = 'PushedAuthorizationRequest'`,
    )
    const query = new URLSearchParams({
      client_id: client.client_id,
      request_uri: `urn:ietf:params:oauth:request_uri:#${row?.['hash']}`,
    })
    for (const path of spellings('/oauth/authorize')) {
      expect([path, (await send(postern, `${path}?${query}`)).status]).toEqual([path, 404])
    }
    const answer = await send(postern, `/oauth/authorize?${query}`)
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null])
    const genuine = new URLSearchParams({
      client_id: client.client_id,
      request_uri: String(pushed.json['request_uri']),
    })
    expect((await send(postern, `/oauth/authorize?${genuine}`)).status).toBe(303)
  })

  test('an identifier in a path may be in upper case, and is not logged in any spelling', async () => {
    for (const path of [
      '/interaction/',
      '/INTERACTION/',
      '/oauth/authorize/',
      '/OAuth/Authorize/',
      '/device/',
      '/Device/',
    ]) {
      const id = `AbCdEf${path.length}-a-secret-identifier`
      expect((await send(postern, `${path}${id}`)).status).toBeGreaterThanOrEqual(400)
      expect(postern.logged.filter((line) => line.includes('a-secret-identifier'))).toEqual([])
    }
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
let postern: TestPostern
let client: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
})
afterAll(() => postern?.stop())

const spellings = (path: string) => [`${path}/`, path.toUpperCase(), path.replace('o', 'O').replace('dev', 'Dev')]

describe('a path has one spelling, since what is decided by path would be got around with another', () => {
  test('the token endpoint', async () => {
    const begun = await authorize(postern, client, { email })
    const form = { grant_type: 'authorization_code', code: String(begun.callback.searchParams.get('code')) }
    for (const path of spellings('/oauth/token')) {
      expect([path, (await send(postern, path, { client, form })).status]).toEqual([path, 404])
    }
    expect((await redeem(postern, begun, { client })).status).toBe(200)
  })

  test('RFC 8628 §5.1: the page for user codes, where guesses are counted', async () => {
    const visitor = createVisitor(postern.issuer)
    const page = await visitor.get('/device')
    expect(page.status).toBe(200)
    for (const path of spellings('/device')) {
      const guess = await visitor.post(path, { user_code: 'AAAA-AAAA' })
      expect([path, guess.status]).toEqual([path, 404])
    }
  })

  test('the authorization endpoint, below which the engine reads what it kept itself', async () => {
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

  test('what follows a path as an identifier may be in upper case, and is not logged in any spelling', async () => {
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

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'

const post_logout_redirect_uri = 'https://rp.example/bye'
const paths = ['/oauth/authorize', '/oauth/logout']
const formType = 'application/x-www-form-urlencoded'
let postern: TestPostern
let client: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com', { name: 'Ada Lovelace' })
  client = await postern.createClient({ post_logout_redirect_uris: [post_logout_redirect_uri] })
})
afterAll(() => postern?.stop())

const post = (path: string, body: string, contentType = formType) =>
  fetch(new URL(path, postern.issuer), {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': contentType, origin: 'https://rp.example' },
    body,
  })

const bodies = [
  ['one value', 'client_id=a&state=b'],
  ['a parameter twice', 'client_id=a&state=1&state=2'],
  ['encoded characters', 'scope=openid+email&state=%26%3D%0D%0Aé'],
  ['names with brackets', 'a[b]=c&a[]=d'],
  ['nothing', ''],
] as const

describe('OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2: a posted request', () => {
  test.each(paths.flatMap((path) => bodies.map(([what, body]) => [path, what, body] as const)))(
    'is redirected to GET with the same parameters (%s with %s)',
    async (path, _what, body) => {
      const answer = await post(path, body)
      const location = new URL(String(answer.headers.get('location')), postern.issuer)
      expect([answer.status, location.origin, location.pathname]).toEqual([303, postern.issuer, path])
      expect([...location.searchParams]).toEqual([...new URLSearchParams(body)])
      expect(answer.headers.get('cache-control')).toBe('no-store, no-transform')
      expect(answer.headers.getSetCookie()).toEqual([])
    },
  )

  test('is rejected if a parameter is repeated, as with GET (RFC 6749 §3.1)', async () => {
    const answer = await post('/oauth/authorize', `client_id=${client.client_id}&client_id=${client.client_id}`)
    const page = await fetch(new URL(String(answer.headers.get('location')), postern.issuer))
    expect([page.status, (await page.text()).includes('must not be provided twice')]).toEqual([400, true])
  })

  test('finds the session of the browser if it is a sign-out', async () => {
    const { visitor } = await login(postern, client, { email: 'ada@example.com' })
    const page = await visitor.post('/oauth/logout', { client_id: client.client_id, post_logout_redirect_uri })
    expect([page.status, page.body.includes('Do you want to sign out?')]).toEqual([200, true])
    const done = await visitor.submit(page, '/oauth/logout/confirm', { logout: 'yes' })
    expect(done.url).toBe(post_logout_redirect_uri)
  })

  test.each(paths)('is rejected if its form is too long for an address (%s)', async (path) => {
    expect((await post(path, `state=${'x'.repeat(8000)}`)).status).toBe(413)
    expect((await post(path, `state=${'%'.repeat(4000)}`)).status).toBe(413) // longer when encoded
    expect((await post(path, `state=${'x'.repeat(200_000)}`)).status).toBe(413)
  })

  test.each(paths)('is rejected if its body is not a form (%s)', async (path) => {
    for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x']) {
      expect([type, (await post(path, '{}', type)).status]).toEqual([type, 415])
    }
  })
})

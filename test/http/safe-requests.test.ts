import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addresses } from '../../src/oidc/endpoints.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, completeLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor, type Visitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const post_logout_redirect_uri = 'https://rp.example/bye'
let postern: TestPostern
let client: ClientMetadata
let television: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient({ post_logout_redirect_uris: [post_logout_redirect_uri] })
  television = await postern.createClient({
    token_endpoint_auth_method: 'none',
    redirect_uris: [],
    response_types: [],
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
  })
})
afterAll(() => postern?.stop())

/** The ways for a request to say that it is only a preview. */
const looks: [string, string, Record<string, string>][] = [
  ['HEAD', 'HEAD', {}],
  ['Sec-Purpose: prefetch', 'GET', { 'sec-purpose': 'prefetch' }],
  ['Sec-Purpose: prefetch;prerender', 'GET', { 'sec-purpose': 'prefetch;prerender' }],
  ['Purpose: prefetch', 'GET', { purpose: 'prefetch' }],
  ['X-Moz: prefetch', 'GET', { 'x-moz': 'prefetch' }],
  ['X-Purpose: preview', 'GET', { 'x-purpose': 'preview' }],
]

/** An address that a person has, and the result of opening it. */
type Place = { visitor: Visitor; address: string; open(): Promise<unknown>; opened: unknown }

async function signedIn(): Promise<{ visitor: Visitor; config: Awaited<ReturnType<typeof discover>>; hint: string }> {
  const { visitor, config, tokens } = await login(postern, client, { email })
  return { visitor, config, hint: String(tokens.id_token) }
}

/** Returns where the form of a page leads, without following it. */
async function leadsTo(visitor: Visitor, path: string, fields: Record<string, string>): Promise<string> {
  const answer = await send(postern, path, {
    form: fields,
    headers: { cookie: cookiesOf(visitor, path), origin: postern.issuer, accept: 'text/html' },
  })
  for (const line of answer.headers.getSetCookie()) {
    const [pair = ''] = line.split(';')
    const [name = '', value = ''] = pair.split('=')
    const at = /path=([^;]+)/i.exec(line)?.[1] ?? '/'
    if (!/1970/.test(line)) visitor.cookies.set(`${name} ${at}`, { value, path: at })
  }
  return String(answer.headers.get('location'))
}

function cookiesOf(visitor: Visitor, path: string): string {
  return [...visitor.cookies]
    .filter(([, cookie]) => path === cookie.path || path.startsWith(cookie.path.replace(/\/?$/, '/')))
    .map(([key, { value }]) => `${key.split(' ')[0]}=${value}`)
    .join('; ')
}

const hiddenIn = (body: string) =>
  Object.fromEntries([...body.matchAll(/name="(uid|csrf)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]))

const places: Record<string, () => Promise<Place>> = {
  'the authorization endpoint with a session': async () => {
    const { visitor, config } = await signedIn()
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'consent' })
    await completeLogin({ page, visitor }, email)
    const query = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: 'https://rp.example/cb',
      scope: 'openid',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    })
    const address = `/oauth/authorize?${query}`
    return { visitor, address, open: async () => (await visitor.get(address)).url, opened: /[?&]code=/ }
  },
  'the authorization endpoint without a session': async () => {
    const visitor = createVisitor(postern.issuer)
    const address = `/oauth/authorize?client_id=${client.client_id}&response_type=code&redirect_uri=https://rp.example/cb&scope=openid&code_challenge=${'x'.repeat(43)}&code_challenge_method=S256`
    return { visitor, address, open: async () => (await visitor.get(address)).url, opened: /\/interaction\// }
  },
  'a sign-in that continues': async () => {
    const { page, visitor } = await beginLogin(await discover(postern, client), { issuer: postern.issuer })
    const path = `${new URL(page.url).pathname}/sign-in`
    const form = { ...hiddenIn(page.body), email, password: 'correct horse battery staple' }
    const address = await leadsTo(visitor, path, form as Record<string, string>)
    expect(address).toContain('/oauth/authorize/')
    const open = async () => (await visitor.get(address)).url
    return { visitor, address, open, opened: /\/interaction\/|[?&]code=/ }
  },
  'a page of a sign-in': async () => {
    const { page, visitor } = await beginLogin(await discover(postern, client), { issuer: postern.issuer })
    return { visitor, address: page.url, open: async () => (await visitor.get(page.url)).status, opened: /200/ }
  },
  'the page for user codes with a code': async () => {
    const { json } = await send(postern, '/oauth/device_authorization', {
      form: { client_id: television.client_id, scope: 'openid' },
    })
    const visitor = createVisitor(postern.issuer)
    const address = `/device?user_code=${json['user_code']}`
    return { visitor, address, open: async () => (await visitor.get(address)).status, opened: /200/ }
  },
  'the sign-out of an app': async () => {
    const { visitor, hint } = await signedIn()
    const address = `/oauth/logout?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri })}`
    return {
      visitor,
      address,
      open: async () => (await visitor.get(address)).url,
      opened: /^https:\/\/rp\.example\/bye$/,
    }
  },
  'the question whether to sign out': async () => {
    const { visitor } = await signedIn()
    return {
      visitor,
      address: '/oauth/logout',
      open: async () => (await visitor.get('/oauth/logout')).body,
      opened: /sign out\?/,
    }
  },
}

const tables = [
  'artifacts',
  'sessions',
  'grants',
  `(select * from audit_events where type not like 'key.%')`,
  'replays',
]
const rows = () =>
  Promise.all(tables.map((table) => postern.database.query(`select t::text as row from ${table} t order by 1`)))

describe('RFC 9110 §9.2.1: a request that only previews', () => {
  test.each(Object.keys(places).flatMap((place) => looks.map(([name, ...look]) => [place, name, ...look] as const)))(
    'has no effect at %s: %s',
    async (name, _look, method, headers) => {
      const place = await (places[name] as () => Promise<Place>)()
      const before = await rows()
      const path = new URL(place.address, postern.issuer).pathname
      for (let n = 0; n < 2; n++) {
        const looked = await send(postern, place.address, {
          method,
          headers: { ...headers, accept: 'text/html', cookie: cookiesOf(place.visitor, path) },
        })
        expect([looked.status, looked.text]).toEqual([method === 'HEAD' ? 200 : 503, ''])
        expect(looked.headers.getSetCookie()).toEqual([])
        expect([looked.headers.get('location'), looked.headers.get('cache-control')]).toEqual([
          null,
          expect.stringContaining('no-store'),
        ])
      }
      expect(await rows()).toEqual(before)
      expect(String(await place.open())).toMatch(place.opened as RegExp)
    },
  )

  test('is answered only by pages without an effect', async () => {
    const statuses: Record<string, number> = {
      '/': 200,
      '/assets/:name': 404,
      '/logos/:hash': 404,
      '/favicon.ico': 200,
      '/apple-touch-icon.png': 200,
      '/site.webmanifest': 200,
      '/.well-known/change-password': 302,
    }
    for (const { path, errors, methods } of addresses) {
      if (errors !== 'page' || !methods.includes('GET')) continue
      const asked = path.replace(/:[a-z_]+/g, 'abc')
      const { status } = await send(postern, asked, { headers: { 'sec-purpose': 'prefetch' } })
      expect([path, status]).toEqual([path, statuses[path] ?? 503])
    }
  })
})

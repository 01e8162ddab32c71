import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { gif, png, webp } from '../support/images.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createToken, registered } from '../support/registration.ts'
import { beginLogin, discover } from '../support/relying-party.ts'
import { send } from '../support/wire.ts'

const large = Buffer.concat([png(2_000, 16)])
const answers: Record<string, () => Response> = {
  '/logo.png': () => new Response(png(32, 32), { headers: { 'content-type': 'text/html' } }),
  '/next.gif': () => new Response(gif),
  '/large.png': () => new Response(large),
  '/page': () => new Response('<script>alert(1)</script>', { headers: { 'content-type': 'image/png' } }),
  '/logo.svg': () =>
    new Response('<svg xmlns="http://www.w3.org/2000/svg"/>', { headers: { 'content-type': 'image/svg+xml' } }),
  '/moved': () => new Response(null, { status: 302, headers: { location: 'https://rp.example/logo.png' } }),
  '/gone': () => new Response(png(32, 32), { status: 404 }),
  '/empty': () => new Response(webp.lossy.subarray(0, 12)),
}
const fetched: string[] = []
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern(
    {},
    {
      fetch: async (input) => {
        const { pathname } = new URL(String(input))
        fetched.push(pathname)
        const answer = answers[pathname]
        if (!answer) throw new TypeError('the address could not be fetched')
        return answer()
      },
    },
  )
})
afterAll(() => postern.stop())

const register = (logo: string) =>
  postern.createClient({ client_name: 'Ledger', logo_uri: `https://rp.example${logo}` })

/** Returns the address of the logo on a client's sign-in page, if there is one. */
async function shownLogo(client: ClientMetadata): Promise<string | undefined> {
  const { page } = await beginLogin(await discover(postern, client), { issuer: postern.issuer })
  expect(page.body).toContain('name="password"')
  return /<img class="logo" src="([^"]+)"/.exec(page.body)?.[1]
}

/** Returns the result of fetching a client's logo. */
const kept = (client: ClientMetadata) =>
  postern.database.query('select type from client_logos where client_id = $1', [client.client_id])

describe('the logo of a client', () => {
  test('is fetched once, and served from here with its own media type', async () => {
    const client = await register('/logo.png')
    await expect.poll(() => shownLogo(client)).toMatch(/^\/logos\/[0-9a-f]{64}$/)
    const before = fetched.length
    const address = String(await shownLogo(client))
    const response = await fetch(postern.issuer + address)
    expect(Buffer.from(await response.arrayBuffer())).toEqual(png(32, 32))
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/png',
      'cache-control': 'public, max-age=31536000, immutable',
      'cross-origin-resource-policy': 'same-origin',
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
    })
    expect(fetched.length).toBe(before)
  })

  test('is replaced when the client has another address for it', async () => {
    const client = await register('/logo.png')
    await expect.poll(() => shownLogo(client)).toBeDefined()
    const first = await shownLogo(client)
    await operate(postern, 'client update', { client_id: client.client_id, logo_uri: 'https://rp.example/next.gif' })
    await expect.poll(() => shownLogo(client)).not.toBe(first)
    await expect.poll(() => shownLogo(client)).toMatch(/^\/logos\//)
    expect(await kept(client)).toEqual([{ type: 'image/gif' }])
  })

  test.each(['/large.png', '/page', '/logo.svg', '/moved', '/gone', '/empty', '/nowhere'])(
    'is a letter if it is unavailable (%s), and is not requested for each page',
    async (path) => {
      const client = await register(path)
      await shownLogo(client)
      await expect.poll(() => kept(client)).toEqual([{ type: null }])
      const before = fetched.length
      expect(await shownLogo(client)).toBeUndefined()
      expect(fetched.length).toBe(before)
      expect(postern.logged.some((line) => line.includes('cannot be shown') && line.includes(client.client_id))).toBe(
        true,
      )
    },
  )

  test('is neither shown nor fetched for a client that registered itself, since it could be anyone’s', async () => {
    const client = await registered(postern, await createToken(postern), { logo_uri: 'https://rp.example/logo.png' })
    const before = fetched.length
    for (const _again of [1, 2]) expect(await shownLogo(client)).toBeUndefined()
    expect(fetched.length).toBe(before)
    expect(await kept(client)).toEqual([])
  })

  test('is deleted with the client', async () => {
    const client = await register('/next.gif')
    await expect.poll(() => shownLogo(client)).toBeDefined()
    await operate(postern, 'client delete', { client_id: client.client_id })
    expect(await kept(client)).toEqual([])
  })

  test('does not exist under another name', async () => {
    for (const name of ['0'.repeat(64), 'x', '..%2f..%2fetc', '%00']) {
      expect((await send(postern, `/logos/${name}`)).status).toBeGreaterThanOrEqual(400)
    }
  })
})

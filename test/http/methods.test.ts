import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Address, addresses } from '../../src/oidc/endpoints.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { send } from '../support/wire.ts'

const tried = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'QUERY']
const accept = 'text/html,application/xhtml+xml,*/*;q=0.8' // as sent by a browser

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern({ PASSKEY_RELATED_ORIGINS: 'https://related.example' })
})
afterAll(() => postern?.stop())

const pathOf = ({ path }: Address) => path.replace(/:[a-z_]+/g, 'abc-123')
const allowed = (value: string | null) => (value ?? '').split(', ').sort()

describe('RFC 9110 §15.5.6: a method that is not allowed', () => {
  test.each(addresses)('is rejected at $path with 405 and the list of allowed methods', async (address) => {
    const refused = tried.filter((method) => !address.methods.includes(method) && !(method === 'GET' && address.pageOf))
    expect(refused.length).toBeGreaterThan(0)
    for (const method of refused) {
      const { status, headers, text, json } = await send(postern, pathOf(address), { method, headers: { accept } })
      expect([method, status]).toEqual([method, 405])
      expect(allowed(headers.get('allow'))).toEqual([...new Set([...address.methods, 'OPTIONS'])].sort())
      if (method === 'HEAD') continue
      if (address.errors === 'json') {
        expect(json).toEqual({ error: 'invalid_request', error_description: `${method} is not possible here.` })
      } else {
        expect([headers.get('content-type'), text.includes('This page cannot be opened this way')]).toEqual([
          'text/html; charset=utf-8',
          true,
        ])
      }
    }
  })

  test('is missing from the answer to OPTIONS (§9.3.7)', async () => {
    for (const address of addresses) {
      const { status, headers } = await send(postern, pathOf(address), { method: 'OPTIONS' })
      expect([address.path, status]).toEqual([address.path, 204])
      expect(allowed(headers.get('allow'))).toEqual([...new Set([...address.methods, 'OPTIONS'])].sort())
    }
  })

  test('changes nothing', async () => {
    const { headers } = await send(postern, '/oauth/authorize?client_id=x', { method: 'PUT' })
    expect(headers.getSetCookie()).toEqual([])
  })
})

describe('the table of addresses', () => {
  test('has every endpoint of the metadata', async () => {
    const { json } = await send(postern, '/.well-known/openid-configuration')
    const named = Object.entries(json).filter(([name]) => name.endsWith('_endpoint') || name === 'jwks_uri')
    const paths = addresses.map(({ path }) => path)
    expect(named.length).toBeGreaterThan(8)
    for (const [, url] of named) expect(paths).toContain(new URL(String(url)).pathname)
  })

  test('names no method that has no handler', async () => {
    for (const address of addresses) {
      for (const method of address.methods.filter((name) => name !== 'OPTIONS')) {
        const { status, json } = await send(postern, pathOf(address), { method })
        // An asset or a sign-in page that does not exist is answered like any other unknown address.
        const isUnknown = status === 404 && !address.path.includes(':')
        expect([address.path, method, isUnknown || status === 405, json['error'] === 'server_error']).toEqual([
          address.path,
          method,
          false,
          false,
        ])
      }
    }
  })

  test('leaves every other address not found', async () => {
    for (const path of ['/nowhere', '/oauth', '/oauth/tokens', '/interaction/a/b', '/device/a/b', '/health']) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        expect([path, (await send(postern, path, { method })).status]).toEqual([path, 404])
      }
    }
  })
})

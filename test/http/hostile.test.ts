import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, discover } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com')
})
afterAll(() => postern?.stop())

async function register(metadata: Record<string, unknown>): Promise<Response> {
  const made = (await operate(postern, 'registration-token create', {})) as { initial_access_token: string }
  return fetch(`${postern.issuer}/oauth/register`, {
    method: 'POST',
    headers: { authorization: `Bearer ${made.initial_access_token}`, 'content-type': 'application/json' },
    body: JSON.stringify(metadata),
  })
}

describe('what a page says about where one returns to', () => {
  test('is never a host that an app wrote behind a scheme of its own', async () => {
    const native = { application_type: 'native', token_endpoint_auth_method: 'none', client_name: 'My Bank' }
    const refused = await register({ ...native, redirect_uris: ['com.example.app://www.mybank.example/cb'] })
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: 'invalid_redirect_uri' })

    const redirectUri = 'com.example.app://www.mybank.example/cb' // as one registered by an earlier release may have
    const client = await postern.createClient({ ...native, redirect_uris: ['com.example.app:/cb'] })
    await postern.database.query(`update clients set metadata = metadata || $2 where id = $1`, [
      client.client_id,
      { redirect_uris: [redirectUri] },
    ])
    postern.server.postern.clients.forget(client.client_id)
    const config = await discover(postern, client)
    const { page } = await beginLogin(config, { issuer: postern.issuer, redirect_uri: redirectUri })
    expect(page.body).not.toContain('www.mybank.example')
    expect(page.body).toContain('An app on this device')
  })
})

describe('text that cannot be stored', () => {
  test.each([
    ['client_name', { client_name: '\ud800', redirect_uris: ['https://rp.example/cb'] }],
    ['redirect_uris', { redirect_uris: ['https://rp.example/\ud800'] }],
  ])('in %s of a registration is a bad request, no fault of the server', async (_field, metadata) => {
    expect((await register(metadata)).status).toBe(400)
  })
})

describe('RFC 8628 §3.3: the address at which a device login goes on', () => {
  test.each(['/device/abc', '/device/%ff'])('opened by someone who did not begin one: %s', async (path) => {
    const page = await createVisitor(postern.issuer).get(path)
    expect(page.status).toBeGreaterThanOrEqual(400)
    expect(page.status).toBeLessThan(500)
  })
})

describe('Fetch §3.2: an origin that is null', () => {
  test('is not answered, though a redirect URI with a scheme of its own has it too', async () => {
    const client = await postern.createClient({
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['com.example.app:/cb'],
    })
    const answer = await fetch(`${postern.issuer}/oauth/token`, {
      method: 'POST',
      headers: { origin: 'null', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x', client_id: client.client_id }),
    })
    expect(answer.headers.get('access-control-allow-origin')).not.toBe('null')
  })
})

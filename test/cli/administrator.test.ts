import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { adminToken, call } from '../support/admin.ts'
import { postern as commandLine } from '../support/command-line.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

async function create(...options: string[]): Promise<ClientMetadata> {
  const { code, stdout, stderr } = await commandLine(['client', 'create', ...options], { env: postern.env })
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as ClientMetadata
}

describe('postern client create', () => {
  test('creates a client of the admin API from only a name and scopes', async () => {
    const client = await create('--client-name', 'ops', '--scope', 'postern:clients postern:audit')
    expect(client).toMatchObject({ grant_types: ['client_credentials'], scope: 'postern:clients postern:audit' })
    const bearer = await adminToken(postern, client)
    expect((await call(postern, '/clients', { bearer })).status).toBe(200)
    expect((await call(postern, '/audit?limit=1', { bearer })).status).toBe(200)
    expect((await call(postern, '/accounts', { bearer })).status).toBe(403)
  })

  test.each([
    ['a machine', []],
    ['an app', ['--redirect-uris', 'https://rp.example/cb']],
    [
      'an app that may also act as a machine',
      ['--redirect-uris', 'https://rp.example/cb', '--grant-types', 'client_credentials,authorization_code'],
    ],
  ])('gives %s no scope of the admin API unless one is named', async (_what, options) => {
    const client = await create('--client-name', 'app', ...options)
    expect(client['scope'] ?? '').not.toContain('postern:')
    for (const scope of ['postern:clients', 'postern:audit']) {
      await expect(adminToken(postern, client, scope)).rejects.toThrow(/invalid_target|grant type is not allowed/)
    }
  })
})

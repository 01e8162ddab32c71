import type { AdapterPayload } from 'oidc-provider'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adapterWith } from '../../../src/oidc/adapters/index.ts'
import type { Permission } from '../../../src/oidc/request/registration.ts'
import { createWork, run } from '../../../src/oidc/request/work.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const metadata = { client_id: 'new', redirect_uris: ['https://rp.example/cb'] }

/** Saves a client, which is what the engine does last in every registration. */
function save(payload: object, permission?: Permission) {
  const work = createWork({ endpoint: 'registration', requestId: 'r', address: '127.0.0.1' })
  if (permission) work.registration = { step: 'allowed', openBearer: undefined, count: undefined, permission }
  const { upsert } = adapterWith(postern.server.postern.storage)('Client')
  return run(work, async () => {
    await upsert('new', payload as AdapterPayload, 0)
    return work.registration.step === 'saved' ? work.registration.metadata : undefined
  })
}

describe('better-auth CVE-2026-41427: a client that the engine saves without asking us first', () => {
  const permission = { policy: 'default', actor: 'anonymous' }

  test.each<[string, object, string]>([
    ['is redirected over http', { redirect_uris: ['http://rp.example/cb'] }, 'invalid_redirect_uri'],
    ['is first-party', { first_party: true }, 'invalid_client_metadata'],
    ['names a policy that does not exist', {}, 'invalid_client_metadata'],
  ])('is still rejected if it %s', async (what, change, error) => {
    const policy = what.includes('policy') ? 'missing' : 'default'
    await expect(save({ ...metadata, ...change }, { ...permission, policy })).rejects.toMatchObject({ error })
  })

  test('is stored if it is allowed', async () => {
    expect(await save(metadata, permission)).toEqual(metadata)
  })

  test('is not stored if no token allows it', async () => {
    await expect(save(metadata)).rejects.toThrow('Nothing allows this registration.')
  })
})

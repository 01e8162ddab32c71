import { afterAll, beforeAll, expect, test } from 'vitest'
import { exportDeclaration } from '../../../src/admin/declaration/export.ts'
import * as stored from '../../../src/stores/clients/upstream-providers.ts'
import { declare, inShort } from '../../support/declaration.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const providers = () => {
  const { database, storage } = postern.server.postern
  return stored.list(database.db, storage.envelope)
}

test('upstream providers are declared with their secrets, changed, exported and pruned', async () => {
  const text = (more = '') => `version: 1
upstream_providers:
  google: { preset: google, client_id: one, secret: { env: GOOGLE }, authority_domains: [example.com]${more} }`
  const secrets = { GOOGLE: 'short' }
  expect(inShort(await declare(postern, text(), { secrets }))).toEqual(['create upstream provider google'])
  expect(await providers()).toMatchObject([{ secret: 'short', authorityDomains: ['example.com'] }])
  expect(inShort(await declare(postern, text(), { secrets }))).toEqual([])
  const changed = await declare(postern, text(', is_alone: true, disabled: true'), {
    secrets: { GOOGLE: 'another-one' },
  })
  expect(changed.plan.changes[0]?.differences.map(({ member }) => member)).toEqual(['is_alone', 'secret', 'disabled'])
  expect(JSON.stringify(changed.plan)).not.toContain('another-one')
  expect(await providers()).toMatchObject([{ secret: 'another-one', isDisabled: true, settings: { is_alone: true } }])

  const exported = await exportDeclaration(postern.server.postern)
  expect(exported).toContain('google')
  for (const absent of ['another-one', 'shows_button', 'allowed_tenants']) expect(exported).not.toContain(absent)
  expect(inShort(await declare(postern, exported))).toEqual([])
  const pruned = await declare(postern, 'version: 1\nupstream_providers: {}', { prune: true })
  expect(inShort(pruned)).toEqual(['delete upstream provider google'])
  expect(await providers()).toEqual([])
})

test('a declared provider that cannot work is a mistake, with its place', async () => {
  const text = 'version: 1\nupstream_providers:\n  work: { preset: keycloak, client_id: one }'
  await expect(declare(postern, text)).rejects.toThrow('upstream_providers.work.issuer: is required by the preset')
})

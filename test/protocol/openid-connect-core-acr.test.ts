import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const password = 'urn:oasis:names:tc:SAML:2.0:ac:classes:Password' // the issuer of the tests is http
let postern: TestPostern
let client: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
})
afterAll(() => postern?.stop())

const essential = (acr: object) => JSON.stringify({ id_token: { acr: { essential: true, ...acr } } })

describe('OpenID Connect Core §2: acr', () => {
  test.each<[string, Record<string, string>]>([
    ['acr_values', { acr_values: `phr ${password}` }],
    ['unattainable acr_values (§3.1.2.1)', { acr_values: 'phr urn:mace:incommon:iap:silver' }],
    ['the claim', { claims: '{"id_token":{"acr":null}}' }],
    ['an essential value (§5.5.1.1)', { claims: essential({ value: password }) }],
    ['essential values, one of which is attainable', { claims: essential({ values: ['phr', password] }) }],
  ])('states that a password was used when a request has %s', async (_what, asked) => {
    const { tokens, visitor } = await login(postern, client, { email, ...asked })
    expect(tokens.claims()?.['acr']).toBe(password)
    const again = await login(postern, client, { email, visitor, ...asked, prompt: 'none' })
    expect(again.tokens.claims()?.['acr']).toBe(password)
  })

  test('is in every ID token, requested or not, beside amr and auth_time, and known to introspection', async () => {
    const { tokens } = await login(postern, client, { email })
    expect(tokens.claims()).toMatchObject({ acr: password, amr: ['pwd'], auth_time: expect.any(Number) })
    const { json } = await send(postern, '/oauth/introspect', { client, form: { token: tokens.access_token } })
    expect(json['acr']).toBe(password)
  })

  test('is advertised in the metadata (Discovery §3)', async () => {
    const { json } = await send(postern, '/.well-known/openid-configuration')
    expect(json['acr_values_supported']).toEqual([
      'phr',
      'http://schemas.openid.net/pape/policies/2007/06/multi-factor',
      password,
    ])
    for (const claim of ['acr', 'amr', 'auth_time']) expect(json['claims_supported']).toContain(claim)
  })
})

import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { scopes } from '../../src/oidc/scopes.ts'
import { builtInPolicies, complete, partialPolicyRules, policyRules } from '../../src/registration/rules.ts'

describe('a registration policy', () => {
  test('is data: the built-in ones survive JSON and match the schema', () => {
    for (const [name, rules] of Object.entries(builtInPolicies)) {
      expect(policyRules.parse(JSON.parse(JSON.stringify(rules))), name).toEqual(rules)
    }
  })

  test('has a sentence about each of its rules, for the command line and the API', () => {
    const { properties } = z.toJSONSchema(policyRules) as { properties: Record<string, Described> }
    const nested = properties['redirect_uris']?.properties ?? {}
    for (const [name, { description }] of Object.entries({ ...properties, ...nested })) {
      expect(description, name).toMatch(/^[A-Z].*\.$/)
    }
  })

  test('names only scopes that exist, in the policies for strangers', () => {
    for (const { scopes: listed } of [builtInPolicies.open, builtInPolicies.document]) {
      expect(Object.keys(scopes)).toEqual(expect.arrayContaining([...listed]))
    }
  })

  test.each<[string, object]>([
    ['a rule that does not exist', { grant_type: [] }],
    ['a rule of redirect URIs that does not exist', { redirect_uris: { http: true } }],
    ['null for grant types', { grant_types: null }],
    ['a grant type outside of a list', { grant_types: 'authorization_code' }],
    ['an application type that does not exist', { application_types: ['desktop'] }],
    ['an empty list of scopes, because a client without scope could request all', { scopes: [] }],
    ['a host with its scheme', { uri_hosts: ['https://rp.example'] }],
    ['a host with a port', { uri_hosts: ['rp.example:8443'] }],
    ['a host in capitals, which no URI has', { uri_hosts: ['RP.example'] }],
    ['a host with a wildcard inside', { uri_hosts: ['a.*.example'] }],
    ['a host with a wildcard that is not a whole label', { uri_hosts: ['*rp.example'] }],
    ['a single wildcard in a list', { uri_hosts: ['*'] }],
    ['a dot as a host', { uri_hosts: ['.'] }],
    ['a host with a dot at the end', { uri_hosts: ['rp.example.'] }],
    ['a lifetime of 0', { client_ttl_seconds: 0 }],
    ['a negative number of clients', { max_clients: -1 }],
    ['half a URI', { max_uris: 0.5 }],
    ['an unknown value for loopback', { redirect_uris: { loopback: true } }],
  ])('cannot have %s', (_what, rules) => {
    expect(partialPolicyRules.safeParse(rules).success).toBe(false)
    expect(() => complete('test', rules)).toThrow(z.ZodError)
  })
})

describe('a stored policy', () => {
  test('replaces single rules of the default policy, also within redirect_uris', () => {
    const { name, rules } = complete('partners', { max_uris: 3, redirect_uris: { hosts: ['*.partner.example'] } })
    const { redirect_uris } = builtInPolicies.default
    expect([name, rules]).toEqual([
      'partners',
      { ...builtInPolicies.default, max_uris: 3, redirect_uris: { ...redirect_uris, hosts: ['*.partner.example'] } },
    ])
  })

  test('with a built-in name replaces single rules of that one, so that strangers may do no more than it says', () => {
    expect(complete('open', { max_clients: null }).rules).toEqual({ ...builtInPolicies.open, max_clients: null })
  })

  test('without rules equals the one it is based on, whatever its name', () => {
    expect(complete('administrator').rules).toEqual(builtInPolicies.administrator)
    for (const name of ['other', '__proto__', 'constructor', 'toString']) {
      expect(complete(name, {}).rules).toEqual(builtInPolicies.default)
    }
  })
})

type Described = { description?: string; properties?: Record<string, Described> }

import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { scopes } from '../../src/oidc/scopes.ts'
import { builtInPolicies, complete, partialPolicyRules, policyRules } from '../../src/registration/rules.ts'

describe('a registration policy', () => {
  test('is data: what is built in survives JSON and is what the schema says', () => {
    for (const [name, rules] of Object.entries(builtInPolicies)) {
      expect(policyRules.parse(JSON.parse(JSON.stringify(rules))), name).toEqual(rules)
    }
  })

  test('describes each of its rules in a sentence, for the command line and the API', () => {
    const { properties } = z.toJSONSchema(policyRules) as { properties: Record<string, Described> }
    const nested = properties['redirect_uris']?.properties ?? {}
    for (const [name, { description }] of Object.entries({ ...properties, ...nested })) {
      expect(description, name).toMatch(/^[A-Z].*\.$/)
    }
  })

  test('names only scopes that there are, where it names those of people', () => {
    for (const { scopes: listed } of [builtInPolicies.open, builtInPolicies.document]) {
      expect(Object.keys(scopes)).toEqual(expect.arrayContaining([...listed]))
    }
  })

  test.each<[string, object]>([
    ['a rule that does not exist', { grant_type: [] }],
    ['a rule of redirect URIs that does not exist', { redirect_uris: { http: true } }],
    ['no grant types', { grant_types: null }],
    ['one grant type that is no list', { grant_types: 'authorization_code' }],
    ['an application type that does not exist', { application_types: ['desktop'] }],
    ['a list without any scope, as a client without scope could ask for all', { scopes: [] }],
    ['a host with its scheme', { uri_hosts: ['https://rp.example'] }],
    ['a host with a port', { uri_hosts: ['rp.example:8443'] }],
    ['a host in capitals, which no URI has', { uri_hosts: ['RP.example'] }],
    ['a host with a wildcard inside', { uri_hosts: ['a.*.example'] }],
    ['a host with a wildcard that is no whole label', { uri_hosts: ['*rp.example'] }],
    ['a wildcard alone, in a list', { uri_hosts: ['*'] }],
    ['a dot for a host', { uri_hosts: ['.'] }],
    ['a dot at the end', { uri_hosts: ['rp.example.'] }],
    ['no lifetime', { client_ttl_seconds: 0 }],
    ['less than no clients', { max_clients: -1 }],
    ['half a URI', { max_uris: 0.5 }],
    ['a loopback of its own', { redirect_uris: { loopback: true } }],
  ])('cannot have %s', (_what, rules) => {
    expect(partialPolicyRules.safeParse(rules).success).toBe(false)
    expect(() => complete('test', rules)).toThrow(z.ZodError)
  })
})

describe('a stored policy', () => {
  test('is laid over the default, rule by rule, those of redirect URIs included', () => {
    const { name, rules } = complete('partners', { max_uris: 3, redirect_uris: { hosts: ['*.partner.example'] } })
    const { redirect_uris } = builtInPolicies.default
    expect([name, rules]).toEqual([
      'partners',
      { ...builtInPolicies.default, max_uris: 3, redirect_uris: { ...redirect_uris, hosts: ['*.partner.example'] } },
    ])
  })

  test('of a built-in name is laid over that, so that what strangers may grows by nothing it does not say', () => {
    expect(complete('open', { max_clients: null }).rules).toEqual({ ...builtInPolicies.open, max_clients: null })
  })

  test('that says nothing is what it is laid over, whatever it is called', () => {
    expect(complete('administrator').rules).toEqual(builtInPolicies.administrator)
    for (const name of ['other', '__proto__', 'constructor', 'toString']) {
      expect(complete(name, {}).rules).toEqual(builtInPolicies.default)
    }
  })
})

type Described = { description?: string; properties?: Record<string, Described> }

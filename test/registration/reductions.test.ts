import { describe, expect, test } from 'vitest'
import type { Metadata } from '../../src/registration/metadata.ts'
import { effective, judge } from '../../src/registration/policy.ts'
import { redirectUriProblem } from '../../src/registration/redirect-uris.ts'
import { reduced, withoutUnused } from '../../src/registration/reductions.ts'
import { complete, policyRules } from '../../src/registration/rules.ts'

const web = { redirect_uris: ['https://rp.example/cb'] }

describe('a client that registers itself', () => {
  test.each<[string, Metadata]>([
    ['an empty scope', { scope: '' }],
    ['an empty link', { logo_uri: '', client_uri: '', policy_uri: '', tos_uri: '' }],
    ['an algorithm for assertions that it does not use', { token_endpoint_auth_signing_alg: 'RS256' }],
    ['an algorithm for request objects when it has no keys', { request_object_signing_alg: 'RS256' }],
    ['the algorithm of unsigned request objects', { request_object_signing_alg: 'none' }],
  ])('is registered without %s', (_what, unused) => {
    expect(withoutUnused({ ...web, ...unused })).toEqual(web)
  })

  test.each<[string, Metadata]>([
    [
      'an algorithm for its assertions',
      { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256' },
    ],
    [
      'an algorithm for request objects with keys',
      { request_object_signing_alg: 'RS256', jwks_uri: 'https://rp.example/jwks' },
    ],
    [
      'the requirement of signed request objects',
      { request_object_signing_alg: 'RS256', require_signed_request_object: true },
    ],
    ['a scope', { scope: 'openid' }],
    ['the addresses of its request objects', { request_uris: ['https://rp.example/request.jwt'] }],
    ['the implicit flow', { grant_types: ['implicit'], response_types: ['id_token'] }],
  ])('keeps %s', (_what, used) => {
    expect(withoutUnused({ ...web, ...used })).toEqual({ ...web, ...used })
  })

  test('has no implicit grant without a response type that needs it', () => {
    const grant_types = ['authorization_code', 'implicit', 'refresh_token']
    expect(withoutUnused({ ...web, grant_types })['grant_types']).toEqual(['authorization_code', 'refresh_token'])
    expect(withoutUnused({ ...web, grant_types, response_types: ['code id_token'] })['grant_types']).toEqual(
      grant_types,
    )
  })
})

const circumstances = (rules: object) => ({
  policy: complete('open', rules),
  isLoopbackIssuer: false,
  openScopes: ['openid'],
  isOwnWord: true,
})
const editor: Metadata = {
  redirect_uris: ['cursor://anysphere.cursor-retrieval/oauth', 'http://rp.example/cb', 'https://www.cursor.com/cb'],
  grant_types: ['authorization_code', 'refresh_token', 'password'],
  response_types: ['code', 'token'],
}

describe('a policy', () => {
  test('with reduce registers the part that it allows', () => {
    const given = circumstances({ reduce: true })
    const left = reduced(editor, given)
    expect(left).toMatchObject({
      redirect_uris: ['https://www.cursor.com/cb'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    })
    expect(judge(left, given)).toBeUndefined()
  })

  test.each(['redirect_uris', 'grant_types', 'response_types'])(
    'with reduce refuses metadata of which nothing is left: %s',
    (field) => {
      const given = circumstances({ reduce: true })
      const bad = { redirect_uris: ['http://rp.example/cb'], grant_types: ['password'], response_types: ['token'] }
      const metadata = { ...editor, [field]: bad[field as keyof typeof bad] }
      const refused = field === 'response_types' ? 'grant_types' : field // the response type would imply that grant type
      expect(judge(reduced(metadata, given), given)?.field).toBe(refused)
    },
  )

  test('without reduce refuses the whole metadata', () => {
    const given = circumstances({ reduce: false })
    expect(reduced(editor, given)).toBe(editor)
    expect(judge(effective(editor, given.policy), given)).toBeDefined()
  })
})

describe('a redirect URI allowed only by name', () => {
  const redirect_uris = {
    dangerous_schemes: ['app.immich', 'oc'],
    private_hosts: ['nas.lan', '192.168.1.10', '[fd00::1]'],
  }
  const problem = (uri: string, isNative: boolean, rules: object = { redirect_uris }) =>
    redirectUriProblem(uri, { rules: complete('administrator', rules).rules, isNative, isLoopbackIssuer: false })

  test.each([
    ['app.immich:///cb', true],
    ['oc://android.owncloud.com', true],
    ['http://nas.lan/cb', false],
    ['http://192.168.1.10:8080/cb', false],
    ['https://192.168.1.10/cb', false],
    ['http://[fd00::1]/cb', false],
  ])('can be %s', (uri, isNative) => {
    expect(problem(uri, isNative)).toBeUndefined()
    expect(problem(uri, isNative, {})).toBeDefined()
  })

  test.each([
    ['oc://android.owncloud.com', false],
    ['occ://x', true],
    ['oc://user@host/cb', true],
    ['oc://host/cb#x', true],
    ['oc://host/*', true],
    ['http://evil.nas.lan/cb', false],
    ['http://nas.lan@evil.example/cb', false],
    ['http://nas.lan/../cb', false],
    ['http://192.168.1.100/cb', false],
  ])('cannot be %s', (uri, isNative) => {
    expect(problem(uri, isNative)).toBeDefined()
  })

  test.each(['javascript', 'data', 'http', 'https', 'file', 'vbscript', 'JAVASCRIPT', 'view-source', 'a b', ''])(
    'cannot have a scheme that a browser opens itself: %s',
    (scheme) => {
      const rules = policyRules.shape.redirect_uris.partial().safeParse({ dangerous_schemes: [scheme] })
      expect(rules.success).toBe(false)
    },
  )
})

import { describe, expect, test } from 'vitest'
import { type Options, requireToken } from '../../src/resource-server/index.ts'

const issuer = 'https://login.example'
const guardOf = (audience: string, options: Partial<Options> = {}) =>
  requireToken({ issuer, audience, dangerouslyAcceptAnyScope: true, ...options })
const get = (url: string, method = 'GET') => new Request(url, { method })

describe('RFC 9728 §2: protected resource metadata', () => {
  test('names the issuer of tokens for this API and how to send them', async () => {
    const guard = guardOf('https://api.example/notes', {
      scopes: ['read'],
      metadata: { resource_name: 'Notes', resource: 'https://other.example/', authorization_servers: [] },
    })
    const response = guard.metadata.request(get('https://api.example/.well-known/oauth-protected-resource/notes'))
    expect(await response?.json()).toEqual({
      resource: 'https://api.example/notes',
      resource_name: 'Notes',
      authorization_servers: [issuer],
      scopes_supported: ['read'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: expect.arrayContaining(['ES256', 'EdDSA']),
      dpop_bound_access_tokens_required: false,
    })
    expect(response?.headers.get('content-type')).toMatch(/^application\/json/)
    expect(response?.headers.get('access-control-allow-origin')).toBe('*')
  })

  test('says that tokens must be bound to a key, if they must', () => {
    const { document } = guardOf('https://api.example/', { dpop: 'required' }).metadata
    expect(document).toMatchObject({ dpop_bound_access_tokens_required: true, bearer_methods_supported: [] })
    expect(JSON.stringify(document['dpop_signing_alg_values_supported'])).not.toMatch(/HS256|none/)
  })

  test('may name more scopes than every route needs', () => {
    const metadata = { scopes_supported: ['read', 'write'] }
    expect(guardOf('https://api.example/', { scopes: ['read'], metadata }).metadata.document).toMatchObject(metadata)
  })
})

describe('RFC 9728 §3.1: the address of the metadata', () => {
  const well = '/.well-known/oauth-protected-resource'

  test.each([
    ['https://api.example', well],
    ['https://api.example/', well],
    ['https://api.example/notes', `${well}/notes`],
    ['https://api.example/notes/', `${well}/notes/`],
    ['https://api.example/v1/notes?tenant=one', `${well}/v1/notes?tenant=one`],
  ])('for %s is %s, and no other', (audience, place) => {
    const { metadata } = guardOf(audience)
    expect(metadata.request(get(`https://api.example${place}`))?.status).toBe(200)
    for (const other of [
      '/',
      '/notes',
      `${place.split('?')[0]}/more`,
      `/x${place}`,
      '/.well-known/openid-configuration',
    ]) {
      expect(metadata.request(get(`https://api.example${other}`)), other).toBeUndefined()
    }
    expect(metadata.request(get(`https://api.example${place}`, 'POST'))).toBeUndefined()
  })

  test('does not exist for an audience that is not a web address', () => {
    const { metadata } = guardOf('urn:example:notes', { baseUrl: 'https://api.example' })
    expect(metadata.document.resource).toBe('urn:example:notes')
    expect(metadata.request(get(`https://api.example${well}`))).toBeUndefined()
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { parse } from '../../src/oidc/registration/metadata.ts'
import { type ClientMetadataInput, clientMembers, clientMetadata } from '../../src/registration/metadata.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createKey } from '../support/wire.ts'

describe('client metadata', () => {
  test('has a sentence about each member, for the command line and the API', () => {
    const { properties } = z.toJSONSchema(clientMetadata) as { properties: Record<string, { description?: string }> }
    expect(Object.keys(properties)).toEqual(Object.keys(clientMetadata.shape))
    for (const [name, { description }] of Object.entries(properties)) expect(description, name).toMatch(/^[A-Z].*\.$/)
  })

  test('contains no member that the server sets, and no unknown one', () => {
    expect(clientMetadata.safeParse({}).success).toBe(true)
    for (const name of [
      'client_id',
      'client_secret',
      'client_id_issued_at',
      'client_secret_expires_at',
      'registration_access_token',
      'registration_client_uri',
      'redirect_uri',
    ]) {
      expect(clientMetadata.safeParse({ [name]: 'x' }).success, name).toBe(false)
    }
  })
})

describe('the engine', () => {
  let postern: TestPostern
  beforeAll(async () => {
    postern = await startPostern({ ALLOW_ENCRYPTION: 'true' })
  })
  afterAll(() => postern?.stop())

  test('knows every member, so that nothing an administrator sets is dropped', async () => {
    const { jwks } = await createKey()
    const { jwks_uri: _instead, ...shape } = clientMetadata.shape
    const everything: Required<Omit<ClientMetadataInput, 'jwks_uri'>> = {
      client_name: 'Everything',
      minimum_acr: 'phr',
      redirect_uris: ['https://rp.example/cb'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      response_modes: ['query'],
      application_type: 'web',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      scope: 'openid read',
      id_token_claims: ['email'],
      contacts: ['a@rp.example'],
      client_uri: 'https://rp.example/',
      localized: { de: { client_name: 'Alles', policy_uri: 'https://rp.example/datenschutz' } },
      logo_uri: 'https://rp.example/logo.png',
      policy_uri: 'https://rp.example/policy',
      tos_uri: 'https://rp.example/tos',
      jwks: jwks as ClientMetadataInput['jwks'] & object,
      subject_type: 'pairwise',
      sector_identifier_uri: 'https://rp.example/sector',
      id_token_signed_response_alg: 'ES256',
      id_token_encrypted_response_alg: 'ECDH-ES',
      id_token_encrypted_response_enc: 'A256GCM',
      userinfo_signed_response_alg: 'ES256',
      userinfo_encrypted_response_alg: 'ECDH-ES',
      userinfo_encrypted_response_enc: 'A256GCM',
      default_max_age: 60,
      require_auth_time: true,
      initiate_login_uri: 'https://rp.example/login',
      request_object_signing_alg: 'ES256',
      request_object_encryption_alg: 'A128KW',
      request_object_encryption_enc: 'A256GCM',
      request_uris: ['https://rp.example/request.jwt'],
      require_signed_request_object: true,
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
      introspection_signed_response_alg: 'ES256',
      introspection_encrypted_response_alg: 'ECDH-ES',
      introspection_encrypted_response_enc: 'A256GCM',
      authorization_signed_response_alg: 'ES256',
      authorization_encrypted_response_alg: 'ECDH-ES',
      authorization_encrypted_response_enc: 'A256GCM',
      post_logout_redirect_uris: ['https://rp.example/bye'],
      backchannel_logout_uri: 'https://rp.example/logout',
      backchannel_logout_session_required: true,
      require_pkce: false,
      required_scopes: 'openid',
      first_party: true,
      resources: ['https://api.example'],
      default_resource: 'https://api.example',
      dangerously_introspect_userinfo_tokens: true,
      fapi_profile: '2.0',
    }
    expect(Object.keys(everything).sort()).toEqual(Object.keys(shape).sort())
    expect(clientMetadata.parse(everything)).toEqual(everything)
    const client = parse(postern.server.postern.provider, { client_id: 'all', client_secret: 'shared', ...everything })
    expect(client.metadata()).toMatchObject(everything)
  })

  test('knows no other member but those that the server sets and default_acr_values', () => {
    const read = new Set<string>()
    const given = { client_id: 'some', client_secret: 'secret', redirect_uris: ['https://rp.example/cb'] }
    const watched = new Proxy(given, {
      getOwnPropertyDescriptor: (target, name) => {
        read.add(String(name))
        return Reflect.getOwnPropertyDescriptor(target, name)
      },
    })
    Reflect.construct(postern.server.postern.provider.Client, [watched])
    expect(read.size).toBeGreaterThan(30)
    const others = [...read].filter((name) => !Object.hasOwn(clientMembers, name))
    expect(others.sort()).toEqual([
      'client_id',
      'client_id_issued_at',
      'client_secret',
      'client_secret_expires_at',
      'default_acr_values', // clients may register it themselves; there is one class to choose
    ])
  })

  test('drops exactly the members that need ALLOW_ENCRYPTION by the table, when it is off', async () => {
    const strict = await startPostern()
    try {
      const needy = Object.entries(clientMembers).filter(
        ([, facts]) => 'needs' in facts && facts.needs === 'ALLOW_ENCRYPTION',
      )
      const asked = Object.fromEntries(
        Object.keys(clientMembers)
          .filter((name) => /_(alg|enc)$/.test(name))
          .map((name) => [name, name.endsWith('enc') ? 'A256GCM' : name.includes('encr') ? 'ECDH-ES' : 'ES256']),
      )
      const given = {
        client_id: 'some',
        token_endpoint_auth_method: 'private_key_jwt',
        redirect_uris: ['https://rp.example/cb'],
        jwks_uri: 'https://rp.example/jwks',
        ...asked,
      }
      const kept = parse(strict.server.postern.provider, given).metadata()
      const dropped = Object.keys(asked).filter((name) => kept[name] === undefined)
      expect(dropped.sort()).toEqual(needy.map(([name]) => name).sort())
    } finally {
      await strict.stop()
    }
  })
})

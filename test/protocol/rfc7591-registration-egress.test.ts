import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { createReceiver } from '../support/receiver.ts'
import { createToken, redirect_uris, register, registered } from '../support/registration.ts'
import { discover, login } from '../support/relying-party.ts'
import { createKey, knock } from '../support/wire.ts'

const email = 'ada@example.com'
let postern: TestPostern
let bearer: string

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  bearer = await createToken(postern)
})
afterAll(() => postern?.stop())

describe('RFC 7591 §5: requests that a registration causes the server to make', () => {
  const byKey = { token_endpoint_auth_method: 'private_key_jwt', redirect_uris }

  test('include keys on loopback if the server itself is on loopback', async () => {
    const { key, jwks } = await createKey()
    const receiver = await createReceiver({ body: jwks })
    try {
      const client = await registered(postern, bearer, { ...byKey, jwks_uri: `${receiver.url}/jwks` })
      const { tokens } = await login(postern, client, {
        email,
        config: await discover(postern, client, oidc.PrivateKeyJwt({ key, kid: 'k1' })),
      })
      expect(tokens.access_token).toBeTruthy()
      expect(receiver.received.map(({ path }) => path)).toEqual(['/jwks'])
    } finally {
      await receiver.stop()
    }
  })

  test('do not follow a redirect', async () => {
    const { key } = await createKey()
    const inner = await createReceiver()
    const outer = await createReceiver({ status: 302, headers: { location: inner.url } })
    try {
      const client = await registered(postern, bearer, { ...byKey, jwks_uri: `${outer.url}/jwks` })
      const config = await discover(postern, client, oidc.PrivateKeyJwt({ key, kid: 'k1' }))
      await expect(oidc.refreshTokenGrant(config, 'x')).rejects.toBeTruthy()
      expect([outer.received.length > 0, inner.received.length]).toEqual([true, 0])
    } finally {
      await Promise.all([outer.stop(), inner.stop()])
    }
  })

  test('do not accept a sector_identifier_uri that is not https or does not answer (OpenID Connect Core §8.1)', async () => {
    const receiver = await createReceiver({ body: redirect_uris })
    try {
      const closed = `https://127.0.0.1:${await freePort()}/sector`
      for (const sector_identifier_uri of [`${receiver.url}/sector`, closed]) {
        const { status, json } = await register(
          postern,
          { subject_type: 'pairwise', redirect_uris, sector_identifier_uri },
          bearer,
        )
        expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
      }
      expect(receiver.received).toEqual([])
    } finally {
      await receiver.stop()
    }
  })

  test('never go to loopback from a server elsewhere, which does not register such addresses either', async () => {
    const receiver = await createReceiver({ body: redirect_uris })
    const outside = await startPostern({ ISSUER: 'https://id.example' })
    try {
      const token = await createToken(outside)
      const closed = `https://127.0.0.1:${new URL(receiver.url).port}`
      for (const metadata of [
        { sector_identifier_uri: `${closed}/sector`, subject_type: 'pairwise' },
        { jwks_uri: `${receiver.url}/jwks`, token_endpoint_auth_method: 'private_key_jwt' },
        { jwks_uri: `${closed}/jwks`, token_endpoint_auth_method: 'private_key_jwt' },
        { backchannel_logout_uri: `${receiver.url}/logout` },
        { application_type: 'web', redirect_uris: ['http://127.0.0.1/cb'] },
        { application_type: 'web', redirect_uris: ['http://localhost/cb'] },
      ]) {
        const { status, json } = await knock(outside.server.port, '/oauth/register', {
          method: 'POST',
          headers: {
            host: 'id.example',
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
          },
          body: JSON.stringify({ redirect_uris, ...metadata }),
        })
        expect([metadata, status, json['client_id']]).toEqual([metadata, 400, undefined])
      }

      // An earlier release may have registered such keys; they are not fetched either.
      const { key, jwks } = await createKey()
      const ownKeys = await createReceiver({ body: jwks })
      const client = await outside.createClient({ ...byKey, jwks })
      await outside.database.query(`update clients set metadata = metadata - 'jwks' || $2 where id = $1`, [
        client.client_id,
        { jwks_uri: `${ownKeys.url}/jwks` },
      ])
      outside.server.postern.clients.forget(client.client_id)
      const now = Math.floor(Date.now() / 1000)
      const client_assertion = await new SignJWT({ aud: 'https://id.example', jti: randomUUID(), exp: now + 60 })
        .setIssuer(client.client_id)
        .setSubject(client.client_id)
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .sign(key)
      const answer = await knock(outside.server.port, '/oauth/token', {
        method: 'POST',
        headers: { host: 'id.example', 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          refresh_token: 'x',
          client_assertion,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        }).toString(),
      })
      expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client'])
      expect([...receiver.received, ...ownKeys.received]).toEqual([])
      await ownKeys.stop()
    } finally {
      await Promise.all([receiver.stop(), outside.stop()])
    }
  })
})

import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errorAbout, forbidden } from '../support/forbidden-metadata.ts'
import { idTokenMetadata } from '../support/id-tokens.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import {
  createPolicy,
  createToken,
  manage,
  type Registered,
  redirect_uris,
  registered,
  updated,
} from '../support/registration.ts'
import { login } from '../support/relying-party.ts'
import { basic, send } from '../support/wire.ts'

const email = 'ada@example.com'
const day = 86_400
let postern: TestPostern
let bearer: string

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  bearer = await createToken(postern)
})
afterAll(() => postern?.stop())

const registeredHere = (metadata: Record<string, unknown> = {}) => registered(postern, bearer, metadata)
const seconds = () => Math.floor(Date.now() / 1000)

/** Changes a client behind the cache of the server. Management uses the stored client nevertheless. */
async function behindItsBack({ client_id }: Registered, change: string): Promise<void> {
  await postern.server.postern.clients.find(client_id)
  await postern.database.query(`update clients set ${change} where id = $1`, [client_id])
}

/** Tells whether the server accepts this secret of a client. */
const authenticates = async ({ client_id }: Registered, secret: unknown) => {
  const headers = { authorization: basic(client_id, String(secret)) }
  const form = { grant_type: 'refresh_token', refresh_token: 'none' }
  return (await send(postern, '/oauth/token', { form, headers })).json['error'] !== 'invalid_client'
}

describe('RFC 7592 §5: a registration access token that leaked', () => {
  test('can be revoked by an administrator, and the client stays', async () => {
    const client = await registeredHere()
    await operate(postern, 'client revoke-registration-token', { client_id: client.client_id })
    for (const [method, body] of [['GET'], ['PUT', { redirect_uris }], ['DELETE']] as const) {
      expect([method, (await manage(postern, client, method, body)).status]).toEqual([method, 401])
    }
    expect(await authenticates(client, client['client_secret'])).toBe(true)
    const events = await postern.database.query(
      `select actor, expires_at from audit_events where client_id = $1 and type = 'client.registration_token_revoked'`,
      [client.client_id],
    )
    expect(events).toEqual([{ actor: 'operator:test', expires_at: null }])
  })

  test('cannot be revoked for a client that has none', async () => {
    const { client_id } = await postern.createClient()
    const revoke = (id: string) => operate(postern, 'client revoke-registration-token', { client_id: id })
    await expect(revoke(client_id)).rejects.toThrow('no registration access token')
    await expect(revoke('unknown')).rejects.toThrow('no client unknown')
  })
})

describe('RFC 7592 §2: a client that manages its registration', () => {
  test('can do so with openid-client: it registers, reads, changes and deletes itself', async () => {
    const config = await oidc.dynamicClientRegistration(
      new URL(postern.issuer),
      { redirect_uris, ...idTokenMetadata },
      undefined,
      {
        initialAccessToken: bearer,
        execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
      },
    )
    const made = config.clientMetadata() as unknown as Registered
    const ask = (token: unknown, method: string, body?: object) =>
      oidc.fetchProtectedResource(
        config,
        String(token),
        new URL(made.registration_client_uri),
        method,
        body ? JSON.stringify(body) : null,
        body ? new Headers({ 'content-type': 'application/json' }) : undefined,
      )
    const read = (await (await ask(made.registration_access_token, 'GET')).json()) as Registered
    expect([read.client_id, read['redirect_uris']]).toEqual([made.client_id, redirect_uris])

    // RFC 7592 §2.2: an update repeats everything that was read, except the members that belong to the server.
    const {
      registration_access_token,
      registration_client_uri,
      client_id_issued_at,
      client_secret_expires_at,
      ...rest
    } = read
    const update = { ...rest, client_name: 'Renamed' }
    const change = (await (await ask(registration_access_token, 'PUT', update)).json()) as Registered
    expect(change['client_name']).toBe('Renamed')
    const { tokens } = await login(postern, made, { email, config })
    expect(tokens.id_token).toBeTruthy()
    expect((await ask(change.registration_access_token, 'DELETE')).status).toBe(204)
    await expect(ask(change.registration_access_token, 'GET')).rejects.toMatchObject({ status: 401 })
  })

  test('§2.2: exchanges its registration access token for a new one with each update', async () => {
    const client = await registeredHere()
    const next = await updated(postern, client, { client_name: 'Renamed' })
    expect(next.registration_access_token).not.toBe(client.registration_access_token)
    expect((await manage(postern, client, 'GET')).status).toBe(401)
    expect((await manage(postern, client, 'PUT', { redirect_uris })).status).toBe(401)
    expect((await manage(postern, next, 'GET')).json['client_name']).toBe('Renamed')
    const live = await postern.database.query(
      `select payload from artifacts where model = 'RegistrationAccessToken' and client_id = $1`,
      [client.client_id],
    )
    expect(live).toHaveLength(1)
    expect(live[0]?.['payload']).not.toHaveProperty('policies') // the previous release does not know this member
  })

  test('§2.2: makes one of ten simultaneous updates, and learns why the others failed (RFC 6750 §3)', async () => {
    const client = await registeredHere()
    const attempts = Array.from({ length: 10 }, () => manage(postern, client, 'PUT', { redirect_uris }))
    const losers = (await Promise.all(attempts)).filter(({ status }) => status !== 200)
    expect(losers).toHaveLength(9)
    for (const { status, json, headers } of losers) {
      expect([status, json['error'], json['registration_access_token']]).toEqual([401, 'invalid_token', undefined])
      expect(headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/)
    }
  })

  test('§2.2: removes what an update omits, but keeps a secret in use', async () => {
    const client = await registeredHere({ client_uri: 'https://rp.example/' })
    const json = await updated(postern, client)
    expect([json['client_uri'], json['client_name'], json['client_id_issued_at']]).toEqual([
      undefined,
      undefined,
      client['client_id_issued_at'],
    ])
    const { tokens } = await login(postern, client, { email })
    expect(tokens.access_token).toBeTruthy()
  })

  test.each(forbidden)('§2.2: cannot change itself into one with %s', async (_what, field, metadata) => {
    const client = await registeredHere()
    const { status, json } = await manage(postern, client, 'PUT', { redirect_uris, ...metadata })
    expect([status, json['error']]).toEqual([400, errorAbout(field)])
    expect(json['error_description']).toContain(field)
    const unchanged = await manage(postern, client, 'GET')
    expect([unchanged.status, unchanged.json['redirect_uris']]).toEqual([200, redirect_uris])
  })

  test('§2.2: cannot change its ID, its secret or the server’s members', async () => {
    const client = await registeredHere()
    for (const wrong of [
      { client_id: 'another' },
      { client_id: undefined },
      { client_secret: 'chosen' },
      { client_id_issued_at: 1 },
      { client_secret_expires_at: 1 },
      { registration_access_token: 'x' },
    ]) {
      expect([wrong, (await manage(postern, client, 'PUT', { redirect_uris, ...wrong })).status]).toEqual([wrong, 400])
    }
  })

  test('§2.3: can delete itself, and then nothing of it works', async () => {
    const client = await registeredHere({ grant_types: ['authorization_code', 'refresh_token'] })
    const { config, tokens } = await login(postern, client, { email, scope: 'openid offline_access' })
    expect((await manage(postern, client, 'DELETE')).status).toBe(204)

    expect((await manage(postern, client, 'GET')).status).toBe(401)
    await expect(oidc.refreshTokenGrant(config, String(tokens.refresh_token))).rejects.toMatchObject({ status: 401 })
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
    const query = new URLSearchParams({ client_id: client.client_id, response_type: 'code', scope: 'openid' })
    expect((await send(postern, `/oauth/authorize?${query}`)).status).toBe(400)
    expect(await postern.database.query('select 1 from artifacts where client_id = $1', [client.client_id])).toEqual([])
  })

  test('§2: is rejected with a wrong token, or with that of another client, which is then revoked', async () => {
    const [one, two] = [await registeredHere(), await registeredHere()]
    for (const method of ['GET', 'DELETE'] as const) {
      const { status, headers } = await manage(postern, one, method, undefined, 'unknown')
      expect([status, headers.get('www-authenticate')]).toEqual([401, expect.stringMatching(/^Bearer /)])
    }
    expect((await manage(postern, one, 'PUT', { redirect_uris }, two.registration_access_token)).status).toBe(401)
    expect((await manage(postern, two, 'GET')).status).toBe(401)
    expect((await manage(postern, one, 'GET')).status).toBe(200)
    const left = await postern.database.query(
      'select 1 from clients where id = any($1) and deleted_at is null and disabled_at is null',
      [[one.client_id, two.client_id]],
    )
    expect(left).toHaveLength(2)
  })

  test('cannot be read, changed or deleted past its lifetime', async () => {
    const client = await registeredHere()
    await behindItsBack(client, `expires_at = now() - interval '1 s'`)
    expect((await manage(postern, client, 'GET')).status).toBe(401)
    expect((await manage(postern, client, 'PUT', { redirect_uris })).status).toBe(401)
    expect((await manage(postern, client, 'DELETE')).status).toBe(401)
    const left = await postern.database.query('select 1 from artifacts where client_id = $1', [client.client_id])
    expect(left).toHaveLength(1)
  })

  test('is rejected if an administrator registered it', async () => {
    const client = await postern.createClient()
    for (const token of [bearer, String(client['client_secret'])]) {
      expect((await send(postern, `/oauth/register/${client.client_id}`, { bearer: token })).status).toBe(401)
    }
  })

  test('is judged like any other if an earlier release registered it without a policy', async () => {
    const client = await registeredHere()
    await postern.database.query('update clients set policy = null, registration_token_id = null where id = $1', [
      client.client_id,
    ])
    const { status } = await manage(postern, client, 'PUT', { redirect_uris: ['http://rp.example/cb'] })
    expect(status).toBe(400)
    await updated(postern, client, { client_name: 'Renamed' })
  })
})

describe('OpenID Connect Dynamic Client Registration 1.0 §4.3: a client secret', () => {
  const expiring = (client: Registered, inSeconds: number) =>
    behindItsBack(
      client,
      `metadata = metadata || jsonb_build_object('client_secret_expires_at', ${seconds() + inSeconds})`,
    )

  test('is not shown again by reading or changing the registration', async () => {
    const client = await registeredHere()
    const read = await manage(postern, client, 'GET')
    expect([read.status, read.json]).toEqual([200, expect.not.objectContaining({ client_secret: expect.anything() })])
    const change = await updated(postern, client, { client_secret: client['client_secret'] })
    expect(change).not.toHaveProperty('client_secret')
    expect(await authenticates(client, client['client_secret'])).toBe(true)
  })

  test('is issued to a client that needs one later, with the expiry that its policy sets', async () => {
    const token = await createPolicy(postern, 'expiring', { secret_ttl_seconds: 40 * day })
    const client = await registered(postern, token, { token_endpoint_auth_method: 'none' })
    const next = await updated(postern, client, { token_endpoint_auth_method: 'client_secret_basic' })
    expect(next['client_secret']).toMatch(/^.{43,}$/)
    expect(Math.abs(Number(next['client_secret_expires_at']) - seconds() - 40 * day)).toBeLessThan(60)
    expect(await authenticates(next, next['client_secret'])).toBe(true)
  })

  test('is removed from a client that no longer needs it, which gets another one later', async () => {
    const client = await registeredHere()
    const open = await updated(postern, client, { token_endpoint_auth_method: 'none' })
    expect(open).not.toHaveProperty('client_secret_expires_at')
    const again = await updated(postern, open)
    expect(again['client_secret']).not.toBe(client['client_secret'])
    expect([
      await authenticates(client, client['client_secret']),
      await authenticates(client, again['client_secret']),
    ]).toEqual([false, true])
  })

  test('is replaced by an update in the last quarter of its life, and stays valid until its expiry', async () => {
    const token = await createPolicy(postern, 'rotating', { secret_ttl_seconds: 40 * day })
    const client = await registered(postern, token)
    await expiring(client, 11 * day)
    const early = await updated(postern, client)
    expect(early).not.toHaveProperty('client_secret')

    await expiring(client, 9 * day)
    const next = await updated(postern, early)
    expect(next['client_secret']).not.toBe(client['client_secret'])
    expect(Math.abs(Number(next['client_secret_expires_at']) - seconds() - 40 * day)).toBeLessThan(60)
    for (const secret of [client['client_secret'], next['client_secret']]) {
      expect(await authenticates(client, secret)).toBe(true)
    }
    const [row] = await postern.database.query(
      'select extract(epoch from previous_secret_expires_at)::bigint as ends from clients where id = $1',
      [client.client_id],
    )
    expect(Math.abs(Number(row?.['ends']) - seconds() - 9 * day)).toBeLessThan(60)
    expect(await updated(postern, next)).not.toHaveProperty('client_secret')
  })

  test('is replaced by an update after its expiry, and stays invalid', async () => {
    const client = await registeredHere()
    await expiring(client, -day)
    postern.server.postern.clients.forget(client.client_id)
    expect(await authenticates(client, client['client_secret'])).toBe(false)
    const next = await updated(postern, client)
    expect(await authenticates(client, next['client_secret'])).toBe(true)
    expect(await authenticates(client, client['client_secret'])).toBe(false)
  })

  test('stays rotated when the client updates itself after an administrator’s rotation', async () => {
    const client = await registeredHere()
    const { client_secret: rotated } = (await operate(postern, 'client rotate-secret', {
      client_id: client.client_id,
    })) as Record<string, string>
    await updated(postern, client)
    expect(await authenticates(client, rotated)).toBe(true)
    expect(await authenticates(client, client['client_secret'])).toBe(true)
  })
})

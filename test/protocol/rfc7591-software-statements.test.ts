import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import {
  createPolicy,
  createToken,
  manage,
  redirect_uris,
  register,
  registered,
  updated,
} from '../support/registration.ts'
import { createKey } from '../support/wire.ts'

const issuer = 'https://publisher.example'
const unreachable = 'https://away.example'
let postern: TestPostern
let bearer: string
let key: CryptoKey
let strangersKey: CryptoKey

beforeAll(async () => {
  const own = await createKey()
  key = own.key
  strangersKey = (await createKey()).key
  const closed = `https://127.0.0.1:${await freePort()}/jwks`
  postern = await startPostern({
    SOFTWARE_STATEMENT_ISSUERS: JSON.stringify([
      { issuer, jwks: own.jwks },
      { issuer: unreachable, jwks_uri: closed },
    ]),
  })
  bearer = await createToken(postern)
})
afterAll(() => postern?.stop())

const state = (claims: Record<string, unknown>, { by = issuer, signedWith = key } = {}) =>
  new SignJWT({ software_id: 'app', ...claims })
    .setIssuer(by)
    .setIssuedAt()
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .sign(signedWith)

const present = (software_statement: unknown, metadata: Record<string, unknown> = {}, token = bearer) =>
  register(postern, { redirect_uris, ...metadata, software_statement }, token)

describe('RFC 7591 §2.3: the content of a software statement', () => {
  test('takes precedence over the client’s, and §3.2.1 is answered with the statement as presented', async () => {
    const software_statement = await state({ client_name: 'The real one', redirect_uris, contacts: ['a@p.example'] })
    const { status, json } = await present(software_statement, {
      client_name: 'Another',
      redirect_uris: ['https://elsewhere.example/cb'],
      client_uri: 'https://rp.example/',
    })
    expect([status, json]).toEqual([
      201,
      expect.objectContaining({
        client_name: 'The real one',
        redirect_uris,
        contacts: ['a@p.example'],
        client_uri: 'https://rp.example/',
        software_statement,
      }),
    ])
  })

  test('is judged like any other metadata', async () => {
    const { status, json } = await present(await state({ redirect_uris: ['http://rp.example/cb'] }))
    expect([status, json['error']]).toEqual([400, 'invalid_redirect_uri'])
    const privileged = await present(await state({ first_party: true }))
    expect([privileged.status, privileged.json['error']]).toEqual([400, 'invalid_client_metadata'])
  })

  test('is only metadata: it sets neither an ID nor a secret', async () => {
    const { json } = await present(await state({ client_id: 'mine', client_secret: 'mine', policy: 'administrator' }))
    expect(json['client_id']).not.toBe('mine')
    expect(json['client_secret']).not.toBe('mine')
    const [row] = await postern.database.query('select policy from clients where id = $1', [json['client_id']])
    expect(row).toEqual({ policy: 'default' })
  })
})

describe('RFC 7591 §3.2.2: a software statement', () => {
  test.each([
    ['signed with another key', () => state({}, { signedWith: strangersKey })],
    [
      'that was changed',
      async () => (await state({})).replace(/\.[^.]+\./, '.eyJpc3MiOiJodHRwczovL3B1Ymxpc2hlci5leGFtcGxlIn0.'),
    ],
    ['that has expired', () => state({ exp: 1 })],
    ['that is not a JWT', async () => 'statement'],
    ['that is not text', async () => ({ client_name: 'x' })],
    ['that is empty', async () => ''],
  ])('%s is rejected as invalid', async (_what, make) => {
    const { status, json } = await present(await make())
    expect([status, json['error'], json['client_id']]).toEqual([400, 'invalid_software_statement', undefined])
  })

  test.each([
    ['of an untrusted issuer', () => state({}, { by: 'https://stranger.example' })],
    ['of an issuer that is only trusted in another spelling', () => state({}, { by: `${issuer}/` })],
    ['for another server', () => state({ aud: 'https://other.example' })],
  ])('%s is rejected as unapproved', async (_what, make) => {
    const { status, json } = await present(await make())
    expect([status, json['error'], json['client_id']]).toEqual([400, 'unapproved_software_statement', undefined])
  })

  test('is rejected as unapproved, whatever its issuer, under a policy that forbids statements', async () => {
    const token = await createPolicy(postern, 'plain', { software_statement: 'refused' })
    for (const by of [issuer, 'https://stranger.example']) {
      const { status, json } = await present(await state({}, { by }), {}, token)
      expect([status, json['error']]).toEqual([400, 'unapproved_software_statement'])
    }
    expect((await register(postern, { redirect_uris }, token)).status).toBe(201)
  })

  test('is rejected temporarily while the keys of its issuer are unavailable', async () => {
    const { status, json } = await present(await state({}, { by: unreachable }))
    expect([status, json['error'], json['client_id']]).toEqual([503, 'temporarily_unavailable', undefined])
  })

  test('is required if the policy says so', async () => {
    const token = await createPolicy(postern, 'stated', { software_statement: 'required' })
    const { status, json } = await register(postern, { redirect_uris }, token)
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
    expect(json['error_description']).toContain('software_statement')
    expect((await present(await state({}), {}, token)).status).toBe(201)
  })
})

describe('RFC 7592 §2.2: a client that was registered with a software statement', () => {
  const stated = { client_name: 'The real one', redirect_uris }

  test('keeps its statement’s content, whatever an update contains, and whether or not the update repeats the statement', async () => {
    const software_statement = await state(stated)
    let client = await registered(postern, bearer, { software_statement })
    const different = { client_name: 'Escaped', redirect_uris: ['https://elsewhere.example/cb'] }
    for (const update of [
      different,
      { ...different, software_statement },
      { ...different, software_statement: null },
    ]) {
      client = await updated(postern, client, update)
      expect(client).toMatchObject({ ...stated, software_statement })
    }
    expect((await manage(postern, client, 'GET')).json).toMatchObject({ ...stated, software_statement })
  })

  test('keeps its statement after the statement has expired', async () => {
    const client = await registered(postern, bearer, { software_statement: await state(stated) })
    await postern.database.query(`update clients set metadata = metadata || $2 where id = $1`, [
      client.client_id,
      { software_statement: await state({ ...stated, exp: 1 }) }, // as if time had passed
    ])
    expect(await updated(postern, client, { client_name: 'Escaped' })).toMatchObject(stated)
  })

  test('can present another statement, which must be valid', async () => {
    const client = await registered(postern, bearer, { software_statement: await state(stated) })
    const forged = await state({ client_name: 'Forged' }, { signedWith: strangersKey })
    const { status, json } = await manage(postern, client, 'PUT', { redirect_uris, software_statement: forged })
    expect([status, json['error']]).toEqual([400, 'invalid_software_statement'])
    const software_statement = await state({ client_name: 'The second' })
    const next = await updated(postern, client, { software_statement, client_name: 'Escaped' })
    expect(next).toMatchObject({ client_name: 'The second', software_statement })
  })

  test('may have been registered without one and present its first', async () => {
    const client = await registered(postern, bearer)
    const next = await updated(postern, client, { software_statement: await state(stated), client_name: 'Escaped' })
    expect(next).toMatchObject(stated)
  })
})

describe('RFC 7591 §2.3: without trusted issuers', () => {
  test('a software statement is neither accepted nor ignored', async () => {
    const trusting = await startPostern()
    try {
      const body = { redirect_uris, software_statement: await state({}) }
      const { status, json } = await register(trusting, body, await createToken(trusting))
      expect([status, json['error']]).toEqual([400, 'unapproved_software_statement'])
    } finally {
      await trusting.stop()
    }
  })
})

import { randomBytes } from 'node:crypto'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEnvelope } from '../../src/crypto/envelope.ts'
import { type Resealing, reseal } from '../../src/keys/resealing.ts'
import { secret } from '../../src/secret.ts'
import type { RunningServer } from '../../src/serve.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { places } from '../../src/stores/keys/sealed-values.ts'
import * as upstreamRequests from '../../src/stores/people/upstream-requests.ts'
import { adminToken, call, createAdministrator } from '../support/admin.ts'
import { dumpOf } from '../support/dump.ts'
import { eventually } from '../support/eventually.ts'
import { addApp } from '../support/factors.ts'
import { operate } from '../support/operator.ts'
import { serveWith, startPostern, type TestPostern } from '../support/postern.ts'
import { completeLogin, login, visit } from '../support/relying-party.ts'
import { administerUpstream } from '../support/upstream.ts'
import { createVisitor, type Page, type Visitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const newKey = () => randomBytes(32).toString('base64')
const idOf = (key: string) => createEnvelope([secret(key)]).sealingKeyId

const upstreamSecret = 'a secret of an upstream provider'
const [older, newer] = [newKey(), newKey()]
const verifier = oidc.randomPKCECodeVerifier()
let postern: TestPostern
let server: RunningServer | undefined
let resealing: Resealing
let sealedBefore: Record<string, unknown>[]

// The unfinished work of people and apps.
let app: ClientMetadata
let renewed: ClientMetadata
let administrator: ClientMetadata
let made: string
let device_code: string
let tv: ClientMetadata
let atSignIn: { page: Page; visitor: Visitor }
let request_uri: string
let signingOut: { page: Page; visitor: Visitor }
let resetting: { visitor: Visitor; link: string }

/** Creates one sealed value of every kind, in the way that people, apps and operators cause it. */
async function beginEverything(): Promise<void> {
  await postern.createAccount(email)
  await addApp(postern, (await postern.createAccount('bob@example.com')).id)
  await administerUpstream(postern, 'create', { id: 'home', issuer: 'https://home.example', client_id: 'postern' })
  await administerUpstream(postern, 'set-secret', { id: 'home', secret: upstreamSecret })
  const { database, storage } = postern.server.postern
  await upstreamRequests.create(database.db, storage.envelope, {
    ...{ state: 'state', providerId: 'home', browserHash: Buffer.from('browser'), data: { sent: 'verifier' } },
    purpose: { interaction: 'one' },
  })
  app = await postern.createClient()
  const { client_secret } = (await operate(postern, 'client rotate-secret', {
    client_id: app.client_id,
  })) as Record<string, unknown>
  renewed = { ...app, client_secret }

  administrator = await createAdministrator(postern)
  made = (await createOnce()).text

  tv = await postern.createClient({
    grant_types: [deviceGrant],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'none',
  })
  const begun = await send(postern, '/oauth/device_authorization', {
    form: { client_id: tv.client_id, scope: 'openid' },
  })
  device_code = String(begun.json['device_code'])
  const visitor = createVisitor(postern.issuer)
  const user_code = String(begun.json['user_code'])
  const shown = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
  atSignIn = { visitor, page: await visitor.submit(shown, '/device', { confirm: 'yes' }) }

  request_uri = await push()
  const signedIn = await login(postern, renewed, { email })
  const query = new URLSearchParams({ id_token_hint: String(signedIn.tokens.id_token) })
  signingOut = { visitor: signedIn.visitor, page: await signedIn.visitor.get(`/oauth/logout?${query}`) }
  resetting = await forgetPassword()
}

/** Requests a link to choose another password, and takes it from the mail that waits. */
async function forgetPassword(): Promise<typeof resetting> {
  const visitor = createVisitor(postern.issuer)
  const signIn = await visitor.get('/account')
  await visitor.submit(await visitor.get(`${signIn.url}/forgot`), '/forgot', { email })
  const confirmations = () => postern.database.query('select 1 from confirmations where data_sealed is not null')
  await eventually(async () => expect(await confirmations()).toHaveLength(1))
  const { items } = (await operate(postern, 'mail list', {})) as { items: { id: string }[] }
  const { text } = (await operate(postern, 'mail show', { id: items[0]?.id })) as { text: string }
  return { visitor, link: /https?:\S+\/link\/\S+/.exec(text)?.[0] ?? '' }
}

async function createOnce() {
  const bearer = await adminToken(postern, administrator)
  const body = { client_name: 'Made once', redirect_uris: ['https://rp.example/cb'] }
  const answer = await call(postern, '/clients', { bearer, body, headers: { 'idempotency-key': 'once' } })
  expect(answer.status, answer.text).toBe(201)
  return answer
}

async function push(): Promise<string> {
  const form = {
    client_id: app.client_id,
    response_type: 'code',
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
  const { json, status, text } = await send(postern, '/oauth/par', { client: renewed, form })
  expect(status, text).toBe(201)
  return String(json['request_uri'])
}

async function startWith(keys: string): Promise<RunningServer> {
  await server?.stop()
  server = await serveWith({ ...postern.env, ENCRYPTION_KEYS: keys })
  return server
}

/** Returns the places in the tables that contain a value sealed with a key. */
const sealedWith = (key: string) =>
  postern.database.query(
    `with sealed (place, value) as (
       select 'keys', sealed from keys
       union all select 'clients', secret_sealed from clients
       union all select 'clients, before', previous_secret_sealed from clients
       union all select 'idempotency_keys', response_sealed from idempotency_keys
       union all select 'confirmations', data_sealed from confirmations
       union all select 'outbox', sealed from outbox
       union all select 'sessions', payload::text from sessions
       union all select 'artifacts, ' || model, payload::text from artifacts)
     select distinct place from sealed where strpos(value, $1) > 0 order by place`,
    [`v1.${idOf(key)}.`],
  )

beforeAll(async () => {
  postern = await startPostern({ ENCRYPTION_KEYS: older })
  await beginEverything()
  await postern.server.stop()
  sealedBefore = await sealedWith(older)
  const { keys } = (await startWith(`${newer},${older}`)).postern
  resealing = await reseal(keys, { actor: 'operator:test' })
})
afterAll(async () => {
  await server?.stop()
  await postern?.database.drop()
})

describe('resealing', () => {
  test('begins with one sealed value of each kind', () => {
    expect(sealedBefore.map(({ place }) => place)).toEqual([
      'artifacts, Interaction',
      'artifacts, PushedAuthorizationRequest',
      'clients',
      'clients, before',
      'confirmations',
      'idempotency_keys',
      'keys',
      'outbox',
      'sessions',
    ])
    expect(Object.keys(resealing.resealed).toSorted()).toEqual(places.toSorted())
  })

  test('leaves nothing in any table under the previous key', async () => {
    const dump = await dumpOf(postern.database)
    expect(dump).toContain(`v1.${idOf(newer)}.`)
    expect(dump).not.toContain(`v1.${idOf(older)}.`)
    expect(resealing).toMatchObject({ unreadable: [], isOutpaced: false, usedElsewhere: [], retired: [idOf(older)] })
    expect(await postern.database.query('select id from encryption_keys')).toEqual([{ id: idOf(newer) }])
  })

  test('covers every column that has "sealed" in its name', async () => {
    const columns = await postern.database.query(
      `select table_name || '.' || column_name as name from information_schema.columns
       where table_schema = 'public' and column_name like '%sealed%'`,
    )
    expect(columns.length).toBeGreaterThan(3)
    for (const { name } of columns) expect(places).toContain(name)
  })

  test('is one line in the audit, with counts and no key', async () => {
    const events = await postern.database.query(`select actor, details from audit_events where type like 'secrets.%'`)
    expect(events).toEqual([
      {
        actor: 'operator:test',
        details: {
          key_id: idOf(newer),
          resealed: resealing.resealed,
          unreadable: 0,
          retired_key_ids: [idOf(older)],
        },
      },
    ])
  })
})

describe('with the new key alone, work begun under the old key continues', () => {
  beforeAll(async () => {
    await startWith(newer)
  })

  test('because a client keeps its secret and the previous one', async () => {
    for (const client of [app, renewed]) {
      const { status } = await send(postern, '/oauth/introspect', { client, form: { token: 'x' } })
      expect(status).toBe(200)
    }
  })

  test('because a repeated request is answered as before, with the generated secret', async () => {
    const again = await createOnce()
    expect(again.text).toBe(made)
    expect(again.json['client_secret']).toEqual(expect.stringMatching(/./))
  })

  test('because a person at the sign-in page can still connect the device', async () => {
    const { page, visitor } = atSignIn
    await visitor.allow(await visitor.signIn(page, email))
    const form = { grant_type: deviceGrant, device_code, client_id: tv.client_id }
    expect((await send(postern, '/oauth/token', { form })).status).toBe(200)
  })

  test('because a pushed request still leads to a code', async () => {
    const query = new URLSearchParams({ client_id: app.client_id, request_uri })
    const callback = await completeLogin(await visit(postern, `/oauth/authorize?${query}`), email)
    expect(callback.searchParams.get('code')).toBeTruthy()
  })

  test('because a person at the sign-out page can still sign out', async () => {
    const { page, visitor } = signingOut
    const done = await visitor.submit(page, '/oauth/logout/confirm', { logout: 'yes' })
    expect([done.status, done.url]).toEqual([200, `${postern.issuer}/oauth/logout/success`])
  })

  test('because the link of a mail still lets its owner choose a password', async () => {
    const { visitor, link } = resetting
    const done = await visitor.submit(await visitor.get(link), new URL(link).pathname, { password: 'rosemary for you' })
    expect([done.status, done.url]).toEqual([200, link])
    expect(done.body).toContain('/interaction/')
  })
})

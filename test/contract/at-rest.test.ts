import { createHash, randomUUID } from 'node:crypto'
import { exportJWK, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients.ts'
import { privateJwks } from '../support/keys.ts'
import { operate } from '../support/operator.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, completeLogin, login, visit } from '../support/relying-party.ts'
import { createVisitor, formsOf, type Page, type Visitor } from '../support/visitor.ts'
import { type Answer, createKey, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
const scope = 'openid email offline_access'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const canary = `canary-${randomUUID()}`

/** What must not be found, and of what kind it is. */
const secrets = new Map<string, string>()
const kinds = new Set<string>() // some values are of two
/** Every row there was after each step of the scenario, by table. */
const rows = new Map<string, Set<string>>()
let postern: TestPostern
let client: ClientMetadata

function collect(kind: string, value: unknown): void {
  const text = String(value ?? '')
  if (text.length < 8) throw new Error(`a ${kind} is too short to be looked for: ${text}`)
  secrets.set(text, kind)
  kinds.add(kind)
}

/** Collects what an answer carries that whoever holds it could use. */
function collectFrom({ json }: Pick<Answer, 'json'>): void {
  const bearers = ['access_token', 'refresh_token', 'id_token', 'device_code', 'user_code', 'request_uri']
  const registered = ['client_secret', 'registration_access_token', 'initial_access_token']
  for (const name of [...bearers, ...registered]) if (json[name] !== undefined) collect(name, json[name])
  if (json['user_code']) collect('user_code without its dash', String(json['user_code']).replace('-', ''))
  if (json['request_uri']) collect('end of a request_uri', String(json['request_uri']).split(':').at(-1))
}

/** A browser of which every cookie it ever had, every interaction, code and form secret is collected. */
function watchedVisitor(): Visitor {
  const watched: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = (line.split(';')[0] ?? '').split(/=(.*)/)
      if (value) collect(name?.endsWith('.sig') ? 'signature of a cookie' : `cookie ${name}`, value)
    }
    const places = [String(input), response.headers.get('location') ?? '']
    for (const place of places) {
      const uid = /\/interaction\/([\w-]+)/.exec(place)?.[1]
      const code = /[?&]code=([\w-]+)/.exec(place)?.[1]
      if (uid) collect('interaction', uid)
      if (code) collect('code', code)
    }
    return response
  }
  return createVisitor(postern.issuer, { fetch: watched })
}

function collectForms({ body }: Page): void {
  for (const { hidden } of formsOf(body))
    for (const name of ['csrf', 'xsrf']) if (hidden[name]) collect(`${name} of a form`, [hidden[name]].flat()[0])
}

/** Every row of every table as text. Binary columns are hexadecimal in it. */
async function dump(): Promise<void> {
  const tables = await postern.database.query(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema')`,
  )
  for (const { name } of tables) {
    const found = await postern.database.query(`select t::text as row from ${name} t`)
    const seen = rows.get(String(name)) ?? new Set()
    for (const { row } of found) seen.add(String(row))
    rows.set(String(name), seen)
  }
}

/** The forms in which a value could lie about: as it is, escaped for JSON or a URL, and its bytes. */
function spellings(value: string): string[] {
  const bytes = Buffer.from(value)
  return [
    value,
    encodeURIComponent(value),
    value.replaceAll(' ', '+'),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=*$/, ''),
    bytes.toString('base64url'),
  ]
}

const contains = (haystack: string, value: string) => spellings(value).some((spelling) => haystack.includes(spelling))
const wholeDump = () => [...rows.values()].flatMap((seen) => [...seen]).join('\n')

async function step(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw new Error(`while ${name}`, { cause: error })
  }
  await dump()
}

const ask = async (form: Record<string, string>, who: ClientMetadata | undefined, headers = {}) => {
  const answer = await send(postern, '/oauth/token', { client: who, form, headers })
  collectFrom(answer)
  return answer
}

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email, { nickname: canary })
  client = await postern.createClient()
  collect('client_secret', client['client_secret'])
  collectKeys()
  const first = watchedVisitor()
  await step('signing in, consenting and refreshing', () => signInAndRefresh(first))
  await step('connecting a device', () => connectDevice(first))
  await step('leaving a device undecided', leaveDevice)
  await step('leaving a pushed request at the sign-in page', () => leaveInteraction(first))
  await step('binding a token to a key', bindToken)
  await step('registering a client', register)
  await step('signing out elsewhere', signOutElsewhere)
  await step('failing to sign in', failToSignIn)
}, 60_000)
afterAll(() => postern?.stop())

function collectKeys(): void {
  collect('password', password)
  const { cookieKeys, dpopNonceSecret, pairwiseSalt, userCodeKey, throttleKey, csrfKey } =
    postern.server.postern.keyring
  for (const key of privateJwks(postern.server.postern.keyring)) collect(`private part of a key for ${key.alg}`, key.d)
  for (const key of cookieKeys.reveal()) collect('cookie key', key)
  for (const key of [dpopNonceSecret, pairwiseSalt, userCodeKey, throttleKey, csrfKey])
    collect('shared secret', key.reveal().toString('base64url'))
  collect('encryption key', postern.env['ENCRYPTION_KEYS'])
}

async function signInAndRefresh(visitor: Visitor): Promise<void> {
  const begun = await authorize(postern, client, { email, scope, visitor })
  await dump() // the code, before it is used
  const answer = await redeem(postern, begun, { client })
  collectFrom(answer)
  await dump()
  const rotated = await ask(
    { grant_type: 'refresh_token', refresh_token: String(answer.json['refresh_token']) },
    client,
  )
  expect(rotated.status).toBe(200)
  await send(postern, '/oauth/introspect', { client, form: { token: String(rotated.json['access_token']) } })
  await send(postern, '/oauth/userinfo', { bearer: String(rotated.json['access_token']) })
  await authorize(postern, client, { email, visitor }) // a code that nobody redeems
  const wrong = await redeem(postern, { ...begun, verifier: oidc.randomPKCECodeVerifier() }, { client })
  expect(wrong.status).toBe(400)
}

async function beginDevice(): Promise<{ tv: ClientMetadata; device_code: string; user_code: string }> {
  const tv = await postern.createClient({
    grant_types: [deviceGrant, 'refresh_token'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'none',
  })
  const begun = await send(postern, '/oauth/device_authorization', { form: { client_id: tv.client_id, scope } })
  collectFrom(begun)
  return { tv, ...(begun.json as { device_code: string; user_code: string }) }
}

async function connectDevice(visitor: Visitor): Promise<void> {
  const { tv, user_code, device_code } = await beginDevice()
  const shown = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
  collectForms(shown)
  const page = await visitor.submit(shown, '/device', { confirm: 'yes' })
  collectForms(page)
  await dump()
  await visitor.allow(page)
  const answer = await ask({ grant_type: deviceGrant, device_code, client_id: tv.client_id }, undefined)
  expect(answer.status, answer.text).toBe(200)
}

async function leaveDevice(): Promise<void> {
  const { user_code } = await beginDevice()
  const visitor = watchedVisitor()
  const shown = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
  collectForms(shown)
  collectForms(await visitor.submit(shown, '/device', { confirm: 'yes' }))
}

async function leaveInteraction(visitor: Visitor): Promise<void> {
  const pushed = await send(postern, '/oauth/par', {
    client,
    form: {
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: 'https://rp.example/cb',
      scope: 'openid',
      prompt: 'login',
      code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
      code_challenge_method: 'S256',
    },
  })
  collectFrom(pushed)
  await dump()
  const { client_id } = client
  const query = new URLSearchParams({ client_id, request_uri: String(pushed.json['request_uri']) })
  const { page } = await visit(postern, `/oauth/authorize?${query}`, visitor)
  expect(page.url).toContain('/interaction/')
  collectForms(page)
}

async function bindToken(): Promise<void> {
  const { key } = await createKey()
  const { d: _d, ...jwk } = await exportJWK(key)
  const prove = (htm: string, path: string, claims = {}) =>
    new SignJWT({
      htm,
      htu: `${postern.issuer}${path}`,
      iat: Math.floor(Date.now() / 1000),
      jti: randomUUID(),
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .sign(key)
  const proof = await prove('POST', '/oauth/token')
  collect('DPoP proof', proof)
  const { callback, verifier } = await authorize(postern, client, { email, scope, visitor: watchedVisitor() })
  const answer = await ask(
    {
      grant_type: 'authorization_code',
      code: String(callback.searchParams.get('code')),
      redirect_uri: 'https://rp.example/cb',
      code_verifier: verifier,
    },
    client,
    { dpop: proof },
  )
  expect(answer.json['token_type'], answer.text).toBe('DPoP')
  const token = String(answer.json['access_token'])
  const used = await prove('GET', '/oauth/userinfo', { ath: createHash('sha256').update(token).digest('base64url') })
  collect('DPoP proof', used)
  const headers = { authorization: `DPoP ${token}`, dpop: used }
  expect((await send(postern, '/oauth/userinfo', { headers })).status).toBe(200)
}

async function register(): Promise<void> {
  const made = (await operate(postern, 'registration-token create', {})) as Record<string, unknown>
  collectFrom({ json: made })
  const bearer = String(made['initial_access_token'])
  const redirect_uris = ['https://rp.example/cb']
  const answer = await send(postern, '/oauth/register', { bearer, body: { client_name: 'Self-made', redirect_uris } })
  expect(answer.status, answer.text).toBe(201)
  collectFrom(answer)
  await dump()
  const { client_id, client_secret, registration_access_token } = answer.json
  const renamed = await send(postern, `/oauth/register/${client_id}`, {
    method: 'PUT',
    bearer: String(registration_access_token),
    body: { client_id, client_secret, redirect_uris, client_name: 'Renamed' },
  })
  expect(renamed.status, renamed.text).toBe(200)
  collectFrom(renamed)
  await login(
    postern,
    { ...renamed.json, client_id: String(client_id), client_secret },
    { email, visitor: watchedVisitor() },
  )
}

async function signOutElsewhere(): Promise<void> {
  const { visitor, tokens } = await login(postern, client, { email, visitor: watchedVisitor() })
  collectFrom({ json: { ...tokens } })
  const query = new URLSearchParams({ id_token_hint: String(tokens.id_token) })
  const page = await visitor.get(`/oauth/logout?${query}`)
  collectForms(page)
  await dump()
  expect((await visitor.submit(page, '/oauth/logout/confirm', { logout: 'yes' })).status).toBe(200)
}

async function failToSignIn(): Promise<void> {
  const query = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid',
    code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
    code_challenge_method: 'S256',
  })
  const begun = await visit(postern, `/oauth/authorize?${query}`, watchedVisitor())
  const wrong = `wrong ${randomUUID()}`
  collect('password somebody tried', wrong)
  expect((await begun.visitor.signIn(begun.page, email, wrong)).status).toBe(401)
  collectForms(begun.page)
  await completeLogin(begun, email)
}

describe('What a stolen database, or a stolen log, is worth', () => {
  test('the scenario left something of every kind behind, to be looked for and to look in', () => {
    for (const kind of [
      'cookie postern_session',
      'cookie postern_interaction',
      'cookie postern_resume',
      'signature of a cookie',
      'interaction',
      'code',
      'access_token',
      'refresh_token',
      'id_token',
      'device_code',
      'user_code',
      'user_code without its dash',
      'request_uri',
      'end of a request_uri',
      'client_secret',
      'registration_access_token',
      'initial_access_token',
      'DPoP proof',
      'csrf of a form',
      'xsrf of a form',
    ])
      expect(kinds, kind).toContain(kind)

    for (const model of [
      'AuthorizationCode',
      'AccessToken',
      'RefreshToken',
      'DeviceCode',
      'Interaction',
      'PushedAuthorizationRequest',
      'RegistrationAccessToken',
    ])
      expect(
        [...(rows.get('public.artifacts') ?? [])].some((row) => row.includes(`,${model},`)),
        model,
      ).toBe(true)
    for (const table of ['sessions', 'grants', 'replays', 'throttles', 'audit_events', 'keys', 'registration_tokens'])
      expect(rows.get(`public.${table}`)?.size, table).toBeGreaterThan(0)
    expect(postern.logged.length).toBeGreaterThan(0)
  })

  test('what is planted is found: in a document, in binary, and escaped in a line', async () => {
    const binary = `canary-${randomUUID()}`
    await postern.database.query(
      'insert into throttles (key_hash, failures, blocked_until, expires_at) values ($1, 0, now(), now())',
      [Buffer.from(binary)],
    )
    await dump()
    expect(contains(wholeDump(), canary)).toBe(true)
    expect(contains(wholeDump(), binary)).toBe(true)
    expect(contains(wholeDump(), `canary-${randomUUID()}`)).toBe(false)
    expect(contains(`{"path":"/x?token=${encodeURIComponent(password)}"}`, password)).toBe(true)
  })

  test('no row of any table holds a value that somebody could use', () => {
    const found = [...rows].flatMap(([table, seen]) =>
      [...seen].flatMap((row) =>
        [...secrets].filter(([value]) => contains(row, value)).map(([, kind]) => `${kind} in ${table}: ${row}`),
      ),
    )
    expect(found).toEqual([])
    console.info(
      `looked for ${secrets.size} values in ${[...rows.values()].reduce((sum, { size }) => sum + size, 0)} rows`,
    )
  })

  test('no log line, down to debug, holds one either', () => {
    const found = postern.logged.flatMap((line) =>
      [...secrets].filter(([value]) => contains(line, value)).map(([, kind]) => `${kind} in ${line}`),
    )
    expect(found).toEqual([])
  })
})

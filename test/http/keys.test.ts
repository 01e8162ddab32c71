import { decodeProtectedHeader, type JWK } from 'jose'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { eventually } from '../support/eventually.ts'
import { rotateOnce, rotateUntil, signingKid } from '../support/keys.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, beginLogin, discover, login } from '../support/relying-party.ts'
import { knock, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
const hour = 3_600_000
const day = 24 * hour
// Makes a time so far away that no test's own time comes near it.
const later = (ms: number) => new Date(Date.now() + ms)

let postern: TestPostern
let client: ClientMetadata

beforeAll(async () => {
  postern = await startPostern({ SESSION_TTL_SECONDS: String(60 * 86_400) })
  await postern.createAccount(email)
  client = await postern.createClient({
    id_token_signed_response_alg: 'ES256',
    post_logout_redirect_uris: ['https://rp.example/out'],
  })
})
afterAll(() => postern?.stop())

const published = async () => (await send(postern, '/oauth/jwks')).json['keys'] as JWK[]
const kidsOf = async (alg: string) => (await published()).filter((key) => key.alg === alg).map(({ kid }) => kid)
const kidOf = (idToken: unknown) => decodeProtectedHeader(String(idToken)).kid
const next = (alg: string) =>
  postern.database
    .query(`select id from keys where purpose = $1 and state in ('pending', 'published')`, [alg])
    .then(([row]) => String(row?.['id']))
const retiredAt = (kid: string) =>
  postern.database
    .query('select retired_at from keys where id = $1', [kid])
    .then(([row]) => Number(row?.['retired_at']))
/** Tells whether the ID token named by a sign-out request is verified (OpenID Connect RP-Initiated Logout 1.0 §2). */
async function isVerified(id_token_hint: unknown): Promise<boolean> {
  const query = new URLSearchParams({ id_token_hint: String(id_token_hint) })
  const { headers } = await send(postern, `/oauth/logout?${query}`, { headers: { accept: 'text/html' } })
  const location = headers.get('location')
  expect(location).toContain('/oauth/logout/success')
  return !location?.includes('returned=no')
}

describe('the published keys (RFC 7517 §5)', () => {
  test('may be cached for the time that the life cycle of keys assumes, and are not sent again if unchanged', async () => {
    const first = await send(postern, '/oauth/jwks')
    expect(first.headers.get('cache-control')).toBe('public, max-age=3600')
    expect(first.headers.get('content-type')).toBe('application/jwk-set+json; charset=utf-8')
    const { port } = postern.server
    const ask = (etag: string) =>
      knock(port, '/oauth/jwks', { headers: { host: new URL(postern.issuer).host, 'if-none-match': etag } })
    const again = await ask(String(first.headers.get('etag')))
    expect([again.status, again.text]).toEqual([304, ''])
    expect(again.headers.get('cache-control')).toBe('public, max-age=3600')
    const other = await ask('"other"')
    expect([other.status, other.text]).toEqual([200, first.text])
  })

  test('may not be cached while the database cannot report changes', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 5_001 })
    const answer = await send(postern, '/oauth/jwks')
    const ready = await send(postern, '/health/ready')
    vi.useRealTimers()
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(ready.status).toBe(503)
  })

  test('have the same members for each key of an algorithm, whatever its state, and nothing private', async () => {
    await rotateUntil(postern, later(31 * day)) // an active, a retired and a next key for each algorithm
    const byAlg = Map.groupBy(await published(), ({ alg }) => alg)
    expect([...byAlg.keys()].sort()).toEqual(['ES256', 'EdDSA', 'PS256', 'RS256'])
    for (const [alg, keys] of byAlg) {
      expect(keys.length, alg).toBe(3)
      const members = new Set(keys.map((key) => Object.keys(key).sort().join()))
      expect(members.size, alg).toBe(1)
      for (const key of keys) {
        expect(key).toMatchObject({ kid: expect.any(String), alg, use: 'sig' })
        for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'priv', 'k']) expect(key).not.toHaveProperty(member)
      }
    }
  })
})

describe('a rotation', () => {
  test('changes the signing key without a restart; the previous one is still published, and its private part is gone', async () => {
    const [old, coming] = [signingKid(postern, 'ES256'), await next('ES256')]
    const before = await login(postern, client, { email })
    expect(kidOf(before.tokens.id_token)).toBe(old)
    expect(await kidsOf('ES256')).toEqual(expect.arrayContaining([old, coming]))

    await rotateOnce(postern, 'ES256')
    // The login verifies the signature of the ID token.
    const { tokens } = await login(postern, client, { email, visitor: before.visitor })
    expect(kidOf(tokens.id_token)).toBe(coming)
    expect(await kidsOf('ES256')).toContain(old)
    expect(await postern.database.query('select sealed from keys where id = $1', [old])).toEqual([{ sealed: null }])
  })

  test('keeps people signed in: a cookie with the previous key’s signature is valid, and is signed again', async () => {
    const { visitor } = await login(postern, client, { email })
    const signature = () => [...visitor.cookies].find(([key]) => key.startsWith('postern_session.sig'))?.[1].value
    const old = signature()
    await rotateOnce(postern, 'cookie-key')
    const { callback } = await authorize(postern, client, { email, visitor, prompt: 'none' })
    expect(callback.searchParams.get('code')).toBeTruthy()
    expect(signature()).not.toBe(old)
  })

  test('ends the trust in a cookie key when no cookie can still carry its signature', async () => {
    const { visitor } = await login(postern, client, { email })
    await rotateOnce(postern, 'cookie-key', 61 * day)
    const config = await discover(postern, client)
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'none' })
    expect(page.url).toContain('error=login_required')
  })

  test('stops publishing a key when its tokens have expired, but the key still verifies an id_token_hint', async () => {
    const { tokens } = await login(postern, client, { email })
    const old = String(kidOf(tokens.id_token))
    await rotateOnce(postern, 'ES256')
    expect(await kidsOf('ES256')).toContain(old)
    expect(await isVerified(tokens.id_token)).toBe(true)
    await rotateUntil(postern, new Date((await retiredAt(old)) + 2 * day))
    expect(await kidsOf('ES256')).not.toContain(old)
    expect(await isVerified(tokens.id_token)).toBe(true)
  })

  test('lets a running request finish with the keys that it began with', async () => {
    const old = signingKid(postern, 'ES256')
    const begun = await authorize(postern, client, { email })
    const locker = new pg.Client({ connectionString: postern.database.url })
    await locker.connect()
    await locker.query('begin; lock table artifacts in access exclusive mode')
    const answering = redeem(postern, begun, { client })
    await eventually(async () => {
      const [waiting] = await postern.database.query(
        `select count(*)::int as n from pg_locks where relation = 'artifacts'::regclass and not granted`,
      )
      expect(waiting?.['n']).toBeGreaterThan(0)
    })
    await rotateOnce(postern, 'ES256')
    expect(signingKid(postern, 'ES256')).not.toBe(old)
    await locker.query('commit')
    await locker.end()
    const answer = await answering
    expect(answer.status, answer.text).toBe(200)
    expect(kidOf(answer.json['id_token'])).toBe(old)
    expect(await kidsOf('ES256')).toContain(old)
  })

  test('is recorded in the audit with one type of event for each step, and never with a key', async () => {
    const rows = await postern.database.query(
      `select distinct type, actor from audit_events where type like 'key.%' order by type`,
    )
    expect(rows).toEqual(
      ['key.activated', 'key.created', 'key.published', 'key.removed'].map((type) => ({ type, actor: 'system' })),
    )
  })
})

describe('a rotation on demand', () => {
  test('makes the next key take over at once if everyone has it', async () => {
    const fresh = await startPostern()
    const coming = async () =>
      (await fresh.database.query(`select id from keys where purpose = 'RS256' and state = 'published'`))[0]?.['id']
    await rotateUntil(fresh, later(60_000))
    await fresh.database.query(`update keys set published_at = published_at - interval '2 hours'`)
    const expected = await coming()
    expect(expected).toBeDefined()
    const done = (await operate(fresh, 'keys rotate', { purpose: 'RS256' })) as { items: object[] }
    expect(done.items).toEqual([expect.objectContaining({ kid: expected, purpose: 'RS256', is_done: true })])
    await eventually(() => expect(signingKid(fresh, 'RS256')).toBe(expected))
    await fresh.stop()
  })

  test('waits until everyone has the next key', async () => {
    const fresh = await startPostern()
    const old = signingKid(fresh, 'RS256')
    const begun = Date.now()
    const asked = (await operate(fresh, 'keys rotate', { purpose: 'RS256' })) as {
      items: { takes_over_at: string; is_done: boolean }[]
    }
    const answered = Date.now()
    expect(asked.items[0]?.is_done).toBe(false)
    expect(Date.parse(String(asked.items[0]?.takes_over_at))).toBeGreaterThanOrEqual(begun + hour)
    await rotateUntil(fresh, new Date(begun + hour))
    expect(signingKid(fresh, 'RS256')).toBe(old)
    await rotateUntil(fresh, new Date(answered + hour + 60_000))
    expect(signingKid(fresh, 'RS256')).not.toBe(old)
    await fresh.stop()
  })
})

describe('a rotation on demand with a short cache lifetime', () => {
  test('is visible within seconds on a new server, and another key is published', async () => {
    const fresh = await startPostern({ JWKS_CACHE_SECONDS: '1' })
    const rs256 = async () => {
      const { keys } = (await send(fresh, '/oauth/jwks')).json as { keys: JWK[] }
      return keys.filter(({ alg }) => alg === 'RS256').map(({ kid }) => kid)
    }
    const { items } = (await operate(fresh, 'keys rotate', {})) as { items: { takes_over_at: string }[] }
    const answered = Date.now()
    for (const { takes_over_at } of items) expect(Date.parse(takes_over_at)).toBeLessThan(answered + 30_000)
    const old = signingKid(fresh, 'RS256')
    await rotateUntil(fresh, new Date(answered + 60_000))
    expect(signingKid(fresh, 'RS256')).not.toBe(old)
    expect(await rs256()).toEqual(expect.arrayContaining([old, signingKid(fresh, 'RS256')]))
    expect(await rs256()).toHaveLength(3) // the previous one, the active one and the next one
    await fresh.stop()
  })
})

describe('the revocation of a compromised key', () => {
  test('makes the key useless and the next one take over', async () => {
    const { tokens } = await login(postern, client, { email })
    const old = String(kidOf(tokens.id_token))
    const answer = (await operate(postern, 'keys revoke', { kid: old })) as Record<string, unknown>
    expect(answer['successor']).not.toBe(old)
    expect(answer['invalidates']).toEqual(expect.arrayContaining([expect.stringContaining('id_token_hint')]))
    await eventually(() => expect(signingKid(postern, 'ES256')).toBe(answer['successor']))
    expect(await kidsOf('ES256')).not.toContain(old)
    expect(await isVerified(tokens.id_token)).toBe(false)
    expect(kidOf((await login(postern, client, { email })).tokens.id_token)).toBe(answer['successor'])
  })

  test('works in every state, and once', async () => {
    await rotateOnce(postern, 'PS256', 2 * day)
    await rotateOnce(postern, 'PS256', 60_000)
    for (const state of ['published', 'active', 'retired', 'removed']) {
      const [row] = await postern.database.query(
        `select id from keys where state = $1 and purpose = 'PS256' and revoked_at is null`,
        [state],
      )
      const kid = String(row?.['id'])
      await operate(postern, 'keys revoke', { kid })
      await expect(operate(postern, 'keys revoke', { kid })).rejects.toThrow('is already revoked')
      await eventually(() => expect(postern.server.postern.keyring.signing.map((key) => key.kid)).not.toContain(kid))
      const active = await postern.database.query(`select id from keys where purpose = 'PS256' and state = 'active'`)
      expect(active).toHaveLength(1)
      expect(await kidsOf('PS256')).toContain(active[0]?.['id'])
    }
  })

  test('signs out everyone whose cookie the key signed, and nobody afterwards', async () => {
    const { visitor } = await login(postern, client, { email })
    const [row] = await postern.database.query(`select id from keys where purpose = 'cookie-key' and state = 'active'`)
    const before = postern.server.postern.keyring.version
    await operate(postern, 'keys revoke', { kid: String(row?.['id']) })
    await eventually(() => expect(postern.server.postern.keyring.version).not.toBe(before))
    const config = await discover(postern, client)
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'none' })
    expect(page.url).toContain('error=login_required')
    const again = await login(postern, client, { email })
    await authorize(postern, client, { email, visitor: again.visitor, prompt: 'none' })
  })

  test.each(['pairwise-salt', 'pepper'])('is impossible for the %s, which must not change', async (purpose) => {
    const [row] = await postern.database.query('select id from keys where purpose = $1', [purpose])
    await expect(operate(postern, 'keys revoke', { kid: String(row?.['id']) })).rejects.toThrow(
      `The ${purpose} cannot be replaced`,
    )
    await expect(operate(postern, 'keys rotate', { purpose })).rejects.toThrow()
  })

  test('requires an existing key', async () => {
    await expect(operate(postern, 'keys revoke', { kid: 'no such key' })).rejects.toThrow(
      'There is no key no such key.',
    )
  })
})

import { generateKeyPairSync } from 'node:crypto'
import { decodeJwt, importSPKI, jwtVerify } from 'jose'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { type HostileUpstream, hostileSecret, startHostileUpstream } from '../../support/hostile-upstream.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { administerUpstream, continueWith } from '../../support/upstream.ts'
import { createVisitor, type Page } from '../../support/visitor.ts'

const tenant = '11111111-2222-4333-8444-555555555555'
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

let upstream: HostileUpstream
const postern: TestPostern = await startPostern(
  { SIGN_UP: 'open' },
  { fetch: (...request) => upstream.fetch(...request) },
)

afterAll(() => postern.stop())
afterEach(async () => {
  await upstream?.stop()
  for (const table of ['upstream_providers', 'accounts']) await postern.database.query(`delete from ${table}`)
})

async function setUp(alias: string, settings: Record<string, unknown>, secret = hostileSecret): Promise<void> {
  upstream = await startHostileUpstream(alias)
  await administerUpstream(postern, 'create', { id: 'theirs', client_id: 'postern', ...settings })
  await administerUpstream(postern, 'set-secret', { id: 'theirs', secret })
}

async function signIn(): Promise<{ page: Page; away: URL }> {
  const visitor = createVisitor(postern.issuer)
  const away = await continueWith(visitor, await visitor.get('/account'), 'theirs')
  return { away: new URL(away.url), page: await visitor.get(upstream.answer(away.url).href) }
}

const isIn = ({ page }: { page: Page }) => new URL(page.url).pathname === '/account'
const identities = () => postern.database.query('select issuer, subject from identities')

describe('the preset of Microsoft', () => {
  const of = (tid: unknown, iss = `https://login.microsoftonline.com/${tid}/v2.0`) => ({
    claims: (usual: object) => ({ ...usual, tid, iss, xms_edov: true }),
  })

  test('accepts the tenant that an ID token names, and only if its issuer is that of this tenant', async () => {
    await setUp('https://login.microsoftonline.com/{tenantid}/v2.0', { preset: 'microsoft' })
    upstream.lies = of(tenant)
    expect(isIn(await signIn())).toBe(true)
    expect(await identities()).toMatchObject([{ issuer: `https://login.microsoftonline.com/${tenant}/v2.0` }])
    for (const lies of [
      of(tenant, 'https://login.microsoftonline.com/99999999-2222-4333-8444-555555555555/v2.0'),
      of('common'),
      of(undefined, 'https://login.microsoftonline.com/undefined/v2.0'),
      of(tenant, 'https://login.microsoftonline.com/{tenantid}/v2.0'),
    ]) {
      upstream.lies = lies
      expect((await signIn()).page.body).toContain('That sign-in did not work.')
    }
  })

  test('accepts only allowed tenants, and no address whose domain is not verified', async () => {
    const allowed = { allowed_tenants: [tenant] }
    await setUp('https://login.microsoftonline.com/{tenantid}/v2.0', { preset: 'microsoft', ...allowed })
    upstream.lies = of('99999999-2222-4333-8444-555555555555')
    expect((await signIn()).page.body).toContain('That sign-in did not work.')
    upstream.lies = { claims: (usual) => ({ ...of(tenant).claims(usual), xms_edov: undefined }) }
    expect((await signIn()).page.body).toContain('We could not confirm your email address.')
  })
})

test('the preset of Apple asks for a posted form, and makes the client secret with the key of the team', async () => {
  await setUp('https://appleid.apple.com', { preset: 'apple', team_id: 'TEAM', key_id: 'KEY' }, pem)
  upstream.lies = { claims: (usual) => ({ ...usual, email_verified: 'true' }) }
  const done = await signIn()
  expect(isIn(done)).toBe(true)
  expect(done.away.searchParams.get('response_mode')).toBe('form_post')
  const secret = upstream.received[0]?.form.get('client_secret') ?? ''
  const key = await importSPKI(publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'ES256')
  const { payload, protectedHeader } = await jwtVerify(secret, key, { audience: 'https://appleid.apple.com' })
  expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'KEY' })
  expect(payload).toMatchObject({ iss: 'TEAM', sub: 'postern' })
  const other = administerUpstream(postern, 'set-secret', { id: 'theirs', secret: 'not a key' })
  await expect(other).rejects.toThrow('must be a private key in PEM')
})

test('the preset of GitHub reads who it is, and takes only the verified primary address', async () => {
  await setUp('https://github.com', { preset: 'github' })
  const email = { email: 'ada@example.com', primary: true, verified: true }
  const user = { id: 42, login: 'ada', name: 'Ada' }
  for (const emails of [[{ ...email, verified: false }], [{ ...email, primary: false }], []]) {
    upstream.github = { '/user': user, '/user/emails': emails }
    expect((await signIn()).page.body).toContain('We could not confirm your email address.')
  }
  upstream.github = { '/user': user, '/user/emails': [email] }
  expect(isIn(await signIn())).toBe(true)
  expect(await identities()).toEqual([{ issuer: 'https://github.com', subject: '42' }])
  upstream.github = { '/user': { ...user, id: 'x' }, '/user/emails': [email] }
  expect((await signIn()).page.body).toContain('That sign-in did not work.')
})

test('a client proves itself with a private key where the provider asks for that', async () => {
  const settings = { issuer: 'https://upstream.example', client_auth: 'private_key_jwt', key_id: 'one' }
  await setUp('https://upstream.example', settings, pem)
  expect(isIn(await signIn())).toBe(true)
  const { form } = upstream.received[0] ?? {}
  expect(form?.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  expect(decodeJwt(form?.get('client_assertion') ?? '')).toMatchObject({ iss: 'postern', sub: 'postern' })
})

test('the methods of a provider are passed on only if the operator trusts them', async () => {
  await setUp('https://upstream.example', { issuer: 'https://upstream.example' })
  upstream.lies = { claims: (usual) => ({ ...usual, amr: ['pwd', 'mfa', 'a b', 7] }) }
  const proofs = async () => {
    expect(isIn(await signIn())).toBe(true)
    const [row] = await postern.database.query('select payload from sessions order by created_at desc limit 1')
    return JSON.stringify(row)
  }
  expect(await proofs()).not.toContain('mfa')
  await administerUpstream(postern, 'update', { id: 'theirs', trusts_methods: true })
  expect(await proofs()).not.toContain('mfa') // two of them are not names of methods
  upstream.lies = { claims: (usual) => ({ ...usual, amr: ['pwd', 'mfa'] }) }
  expect(await proofs()).toContain('mfa')
})

test('a provider is refused that Postern could not speak with', async () => {
  for (const [settings, message] of [
    [{ preset: 'openid' }, 'is required by the preset'],
    [{ preset: 'openid', issuer: 'http://upstream.example' }, 'must be https'],
    [{ preset: 'openid', issuer: 'https://upstream.example/?a=b' }, 'must have no query'],
    [{ preset: 'apple' }, 'is required for Apple'],
  ] as const) {
    const created = administerUpstream(postern, 'create', { id: 'wrong', client_id: 'postern', ...settings })
    await expect(created).rejects.toThrow(message)
  }
})

import { randomUUID } from 'node:crypto'
import { type JWTPayload, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type HostileUpstream, hostileSecret, type Lies, startHostileUpstream } from '../../support/hostile-upstream.ts'
import { mailTo } from '../../support/mailbox.ts'
import { forget, press, send as sendForm } from '../../support/people.ts'
import { serveBeside, startPostern, type TestPostern } from '../../support/postern.ts'
import { administerUpstream, continueWith } from '../../support/upstream.ts'
import { cookieHeaderOf, createVisitor, type Page, type Visitor } from '../../support/visitor.ts'
import { knock } from '../../support/wire.ts'

let postern: TestPostern
let upstream: HostileUpstream
let other: HostileUpstream

beforeAll(async () => {
  ;[postern, upstream, other] = await Promise.all([
    startPostern({ SIGN_UP: 'open', SIGN_IN_BY_CODE: 'true' }),
    startHostileUpstream(),
    startHostileUpstream(),
  ])
  for (const [id, { issuer }] of Object.entries({ honest: upstream, other })) {
    await administerUpstream(postern, 'create', { id, issuer, client_id: 'postern' })
    await administerUpstream(postern, 'set-secret', { id, secret: hostileSecret })
  }
})
beforeEach(async () => {
  for (const table of ['throttles', 'outbox', 'accounts']) await postern.database.query(`delete from ${table}`)
  upstream.lies = {}
  other.received.splice(0)
})
afterAll(() => Promise.all([postern?.stop(), upstream?.stop(), other?.stop()]))

type Begun = { visitor: Visitor; away: string }

async function begin(provider = 'honest', visitor = createVisitor(postern.issuer)): Promise<Begun> {
  const away = await continueWith(visitor, await visitor.get('/account'), provider)
  expect(away.body).toBe('')
  return { visitor, away: away.url }
}

/** Signs in with an upstream provider that lies, and returns the page that it leads to. */
async function signIn(lies: Lies = {}, changes: Record<string, string | undefined> = {}): Promise<Page> {
  upstream.lies = lies
  const { visitor, away } = await begin()
  return visitor.get(upstream.answer(away, changes).href)
}

const claims = (changes: Record<string, unknown>): Lies => ({ claims: (usual) => ({ ...usual, ...changes }) })
const isIn = (page: Page) => new URL(page.url).pathname === '/account'
const identities = () => postern.database.query('select provider_id, subject, account_id from identities')
const lastFailure = async () =>
  (await postern.database.query(`select type, details from audit_events order by id desc limit 1`))[0]

describe('a sign-in at an upstream provider', () => {
  test('signs in if everything is as it should be', async () => {
    expect(isIn(await signIn())).toBe(true)
    expect(await identities()).toMatchObject([{ provider_id: 'honest', subject: 'subject-1' }])
  })

  test('is sent with PKCE by S256, a nonce and a state, and never the same twice', async () => {
    const [first, second] = [await begin(), await begin()].map(({ away }) => new URL(away).searchParams)
    expect(first?.get('code_challenge_method')).toBe('S256')
    for (const name of ['code_challenge', 'nonce', 'state']) {
      expect(first?.get(name)).toMatch(/^[\w-]{43}$/)
      expect(first?.get(name)).not.toBe(second?.get(name))
    }
  })

  // biome-ignore format: it is a table
  const refused: [title: string, lies: Lies, changes?: Record<string, string | undefined>][] = [
    ['the answer names another issuer (mix-up)', {}, { iss: 'https://attacker.example' }],
    ['the answer names no issuer although the provider always does', {}, { iss: undefined }],
    ['the ID token has no nonce', { claims: ({ nonce: _, ...rest }) => rest }],
    ['the ID token has the nonce of another request', claims({ nonce: 'another' })],
    ['the ID token is for another client', claims({ aud: 'another-client' })],
    ['the ID token is for another client, too', claims({ aud: ['postern', 'another-client'], azp: 'postern' })],
    ['the ID token was issued to another client', claims({ azp: 'another-client' })],
    ['the ID token is of another issuer', claims({ iss: 'https://attacker.example' })],
    ['the ID token has expired', claims({ exp: 1_000_000_000 })],
    ['the ID token has no subject', { claims: ({ sub: _, ...rest }) => rest }],
    ['the ID token has no signature', { signing: 'none' }],
    ['the ID token is signed with the client secret', { signing: 'HS256' }],
    ['the ID token is signed with a key that the provider does not publish', { signing: 'stranger' }],
    ['the userinfo is about somebody else', { claims: ({ email: _, ...rest }) => rest, userinfo: { sub: 'subject-2', email: 'ada@example.com', email_verified: true } }],
    ['the code is one of an attacker (code injection)', {}, { code: 'a-code-of-somebody-else' }],
    ['the answer has no code', {}, { code: undefined }],
    ['the answer is an error', {}, { code: undefined, error: 'server_error' }],
  ]
  for (const [title, lies, changes] of refused) {
    test(`is refused if ${title}`, async () => {
      const page = await signIn(lies, changes)
      expect(page.body).toContain('That sign-in did not work.')
      expect(page.status).toBe(502)
      expect(await identities()).toEqual([])
      expect(await lastFailure()).toMatchObject({ type: 'sign_in.failed', details: { provider: 'honest' } })
    })
  }

  test('is refused with a code that an attacker got for another request, even if the provider ignores PKCE', async () => {
    const attacker = await begin()
    const code = upstream.answer(attacker.away).searchParams.get('code') ?? ''
    for (const isCareless of [false, true]) {
      const page = await signIn({ isCareless }, { code })
      expect(page.body, String(isCareless)).toContain('That sign-in did not work.')
    }
    expect(await identities()).toEqual([])
  })

  test('is refused if the address is not verified', async () => {
    for (const email_verified of [false, undefined, 'yes']) {
      const page = await signIn(claims({ email_verified }))
      expect(page.body).toContain('We could not confirm your email address.')
    }
    expect(await postern.database.query('select id from accounts')).toEqual([])
  })

  test('does not follow an address to another subject', async () => {
    expect(isIn(await signIn())).toBe(true)
    const page = await signIn(claims({ sub: 'subject-2' }))
    expect(page.body).toContain('This address already has an account.')
    expect(await identities()).toHaveLength(1)
  })

  test('of one provider is not one of another with the same subject', async () => {
    expect(isIn(await signIn())).toBe(true)
    const { visitor, away } = await begin('other')
    expect((await visitor.get(other.answer(away).href)).body).toContain('This address already has an account.')
    expect(await identities()).toHaveLength(1)
  })
})

describe('the answer of an upstream provider', () => {
  test('counts once, also when it arrives twice at the same time', async () => {
    const { visitor, away } = await begin()
    const { href } = upstream.answer(away)
    const twin = createVisitor(postern.issuer, { cookies: new Map(visitor.cookies) })
    const pages = await Promise.all([visitor.get(href), twin.get(href)])
    expect(pages.filter(isIn)).toHaveLength(1)
    expect((await createVisitor(postern.issuer, { cookies: new Map(visitor.cookies) }).get(href)).status).toBe(400)
    expect(await identities()).toHaveLength(1)
  })

  test('counts once in two processes, and so does the step that signs in with it', async () => {
    const sibling = await serveBeside(postern)
    const { visitor, away } = await begin()
    const { host, port } = new URL(postern.issuer)
    const cookie = cookieHeaderOf(visitor)
    const both = (path: string) =>
      Promise.all([Number(port), sibling.port].map((at) => knock(at, path, { headers: { host, cookie } })))
    const { pathname, search } = upstream.answer(away)
    const answers = await both(pathname + search)
    expect(answers.map(({ status }) => status).toSorted()).toEqual([303, 400])
    const location = answers.find(({ status }) => status === 303)?.headers.get('location') ?? ''
    expect(location).toMatch(/^\/interaction\/[^/]+\/upstream$/)
    const steps = (await both(location)).map(({ headers }) => headers.get('location') ?? '')
    expect(steps.filter((step) => step.includes('/oauth/authorize/'))).toHaveLength(1)
    expect(await identities()).toHaveLength(1)
    await sibling.stop()
  })

  test('is worth nothing in another browser, and still counts in the right one', async () => {
    const { visitor, away } = await begin()
    const { href } = upstream.answer(away)
    const stranger = createVisitor(postern.issuer)
    await stranger.get('/account')
    expect((await stranger.get(href)).status).toBe(400)
    expect((await createVisitor(postern.issuer).get(href)).status).toBe(400)
    expect(await identities()).toEqual([])
    expect(isIn(await visitor.get(href))).toBe(true)
  })

  test('is refused with a state that nobody sent, and with one that an attacker began (login CSRF)', async () => {
    const attacker = await begin()
    const victim = createVisitor(postern.issuer)
    await victim.get('/account')
    const { href } = upstream.answer(attacker.away)
    expect((await victim.get(href)).status).toBe(400)
    for (const state of ['', 'unknown', 'x'.repeat(10_000)]) {
      expect((await victim.get(upstream.answer(attacker.away, { state }).href)).status).toBe(400)
    }
  })

  test('is refused at the address of another provider (mix-up)', async () => {
    const { visitor, away } = await begin()
    const callback = upstream.answer(away)
    callback.pathname = '/upstream/other/callback'
    expect((await visitor.get(callback.href)).status).toBe(400)
    expect(other.received).toEqual([])
  })

  test('is refused if a parameter is repeated, and leads nowhere but back to this server', async () => {
    const { visitor, away } = await begin()
    const callback = upstream.answer(away)
    expect((await visitor.get(`${callback.href}&state=another`)).status).toBe(400)
    const evil = 'https://attacker.example/'
    const names = ['redirect_uri', 'return_to', 'next', 'url']
    const page = await visitor.get(`${callback.href}&${names.map((name) => `${name}=${evil}`).join('&')}`)
    expect(new URL(page.url).origin).toBe(postern.issuer)
  })

  test('may be posted by the page of a provider, and then loses everything but its parameters', async () => {
    const { visitor, away } = await begin()
    const { pathname, searchParams } = upstream.answer(away)
    const stranger = createVisitor(postern.issuer) // as a browser that sends no cookies with the form
    const headers = { origin: upstream.issuer, 'sec-fetch-site': 'cross-site' }
    const fields = { ...Object.fromEntries(searchParams), user: '{"name": {}}' }
    const answer = await fetch(`${postern.issuer}${pathname}`, {
      ...{ method: 'POST', headers, redirect: 'manual', body: new URLSearchParams(fields) },
    })
    const location = answer.headers.get('location') ?? ''
    expect([answer.status, new URL(location).searchParams.has('user')]).toEqual([303, false])
    expect((await stranger.get(location)).status).toBe(400)
    expect(isIn(await visitor.get(location))).toBe(true)
  })
})

describe('an account that an attacker made ready for its victim', () => {
  test('loses what the attacker linked as soon as the owner proves the address by mail', async () => {
    expect(isIn(await signIn())).toBe(true) // a provider that lets anybody claim an address
    const owner = createVisitor(postern.issuer)
    await press(owner, await owner.get('/account'), 'send-code', 'ada@example.com')
    const mail = await mailTo(postern, 'ada@example.com')
    const code = /\b\d{6}\b/.exec(mail.subject)?.[0] ?? ''
    const uid = [...owner.cookies.values()].map(({ path }) => /interaction\/([^/]+)/.exec(path)?.[1]).find(Boolean)
    const page = await owner.submit(await owner.get(`/interaction/${uid}/code`), '/code', { code })
    expect(isIn(page)).toBe(true)
    expect(await identities()).toEqual([])
    expect((await signIn()).body).toContain('This address already has an account.')
  })

  /** Makes an account that an attacker can sign in to with an account elsewhere. */
  async function linked(email: string): Promise<string> {
    const { id } = await postern.createAccount(email)
    await postern.database.query(`insert into identities values ('honest', $1, 'subject-1', $2, '{}', now(), now())`, [
      upstream.issuer,
      id,
    ])
    return id
  }

  test('loses it as soon as the owner chooses a password by mail for the first time, and only then', async () => {
    const id = await linked('ada@example.com')
    for (const isVerified of [true, false]) {
      await postern.database.query('delete from throttles')
      await postern.database.query('update accounts set email_verified = $1', [isVerified])
      await postern.database.query('delete from outbox')
      const { visitor } = await forget(postern, 'ada@example.com')
      const { link } = await mailTo(postern, 'ada@example.com')
      await sendForm(visitor, await visitor.get(link), { password: 'another horse, another battery' })
      expect(await identities()).toHaveLength(isVerified ? 1 : 0)
    }
    expect(id).not.toBe('')
  })

  test('loses it when the owner undoes a change of address', async () => {
    await linked('ada@example.com')
    const attacker = createVisitor(postern.issuer)
    await attacker.signIn(await attacker.get('/account'), 'ada@example.com')
    await attacker.submit(await attacker.get('/account/email'), '/account/email', { email: 'evil@example.org' })
    await sendForm(attacker, await attacker.get((await mailTo(postern, 'evil@example.org')).link))
    const owner = createVisitor(postern.issuer)
    await sendForm(owner, await owner.get((await mailTo(postern, 'ada@example.com')).link))
    const [account] = await postern.database.query('select email from accounts')
    expect(account).toEqual({ email: 'ada@example.com' })
    expect(await identities()).toEqual([])
  })
})

describe('a logout token', () => {
  const now = () => Math.floor(Date.now() / 1000)
  const usual = () => ({
    ...{ iss: upstream.issuer, aud: 'postern', iat: now(), exp: now() + 60, sub: 'subject-1', sid: 'session-1' },
    ...{ jti: randomUUID(), events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
  })
  const send = async (logout_token: string, provider = 'honest') => {
    const body = new URLSearchParams({ logout_token })
    return (await fetch(`${postern.issuer}/upstream/${provider}/backchannel-logout`, { method: 'POST', body })).status
  }

  test('ends the session that it names once, by its name or its subject, and never one of another provider', async () => {
    const visitor = createVisitor(postern.issuer)
    const enter = async () => {
      const { away } = await begin('honest', visitor)
      upstream.lies = claims({ sid: 'session-1' })
      expect(isIn(await visitor.get(upstream.answer(away).href))).toBe(true)
    }
    const stays = async () => isIn(await visitor.get('/account'))
    await enter()
    const wrong: [changes: Record<string, unknown>, by?: HostileUpstream, to?: string][] = [
      [{ sid: 'session-2' }],
      [{ aud: 'another-client' }],
      [{ aud: ['postern', 'another-client'] }],
      [{ iss: 'https://attacker.example' }],
      [{ events: {} }],
      [{ nonce: 'one' }],
      [{ iat: now() - 4_000 }],
      [{ jti: undefined }],
      [{ sub: undefined, sid: undefined }],
      [{}, other],
      [{ iss: other.issuer }, other, 'other'],
    ]
    for (const [changes, by = upstream, to = 'honest'] of wrong) {
      await send(await by.sign({ ...usual(), ...changes } as JWTPayload), to)
      expect(await stays(), JSON.stringify(changes)).toBe(true)
    }
    expect(await send(new UnsecuredJWT(usual()).encode())).toBe(400)
    const token = await upstream.sign(usual())
    expect(await send(token)).toBe(200)
    expect(await stays()).toBe(false)
    await enter()
    expect(await send(token)).toBe(400)
    expect(await stays()).toBe(true)
    const { sub: _, ...bySession } = usual()
    expect(await send(await upstream.sign(bySession))).toBe(200)
    expect(await stays()).toBe(false)
    await enter()
    const { sid: __, ...byPerson } = usual()
    expect(await send(await upstream.sign(byPerson))).toBe(200)
    expect(await stays()).toBe(false)
  })
})

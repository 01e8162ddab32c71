import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createReceiver } from '../support/receiver.ts'
import { createToken, registered } from '../support/registration.ts'
import { beginLogin, login } from '../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../support/visitor.ts'
import { answerOf, send } from '../support/wire.ts'

const email = 'ada@example.com'
const question = 'Do you want to sign out?'
const signedOut = 'You are signed out'
const cannotReturn = 'we cannot take you back to the app'
const didNotReturn = 'could not take you back to the app'
const post_logout_redirect_uri = 'https://rp.example/bye'

let postern: TestPostern
let client: ClientMetadata
let other: ClientMetadata
let config: oidc.Configuration
let visitor: Visitor
let hint: string

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email, { name: 'Ada Lovelace' })
  await postern.createAccount('grace@example.com')
  client = await postern.createClient({
    client_name: 'Field Notes',
    client_uri: 'https://rp.example',
    post_logout_redirect_uris: [post_logout_redirect_uri],
  })
  other = await postern.createClient({ post_logout_redirect_uris: ['https://b.example/bye'] })
})
beforeEach(async () => {
  const begun = await login(postern, client, { email })
  config = begun.config
  visitor = begun.visitor
  hint = String(begun.tokens.id_token)
})
afterAll(() => postern?.stop())

type Parameters = Record<string, string | string[]>

function leave(parameters: Parameters, who = visitor): Promise<Page> {
  const query = new URLSearchParams()
  for (const [name, values] of Object.entries(parameters))
    for (const value of [values].flat()) query.append(name, value)
  return who.get(`/oauth/logout?${query}`)
}
const signOut = (page: Page, who = visitor) => who.submit(page, '/oauth/logout/confirm', { logout: 'yes' })
const stay = (page: Page) => visitor.submit(page, '/oauth/logout/confirm')

async function isSignedIn(who = visitor): Promise<boolean> {
  const { page } = await beginLogin(config, { issuer: postern.issuer, visitor: who, prompt: 'none' })
  return answerOf(page.url)['error'] !== 'login_required'
}

const tampered = (token: string) => {
  const [header, payload, signature = ''] = token.split('.')
  return `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
}

const unregistered = [
  'https://rp.example/cb',
  'https://rp.example/bye/',
  'https://rp.example/bye?x=1',
  'https://evil.example/bye',
  'https://rp.example@evil.example/bye',
  'javascript:alert(1)',
  '//evil.example',
  'no address',
]

/** Mistakes that an app may make, each with what the log says about it. */
const mistakes: [string, () => Parameters, RegExp][] = [
  ...unregistered.flatMap((uri): (typeof mistakes)[number][] => [
    [`${uri}, with a hint`, () => ({ id_token_hint: hint, post_logout_redirect_uri: uri }), /post_logout_redirect_uri/],
    [
      `${uri}, with a client_id`,
      () => ({ client_id: client.client_id, post_logout_redirect_uri: uri }),
      /post_logout_redirect_uri/,
    ],
  ]),
  [
    'an address of another client',
    () => ({ id_token_hint: hint, post_logout_redirect_uri: 'https://b.example/bye' }),
    /post_logout_redirect_uri/,
  ],
  ['an address without a client', () => ({ post_logout_redirect_uri }), /needs an id_token_hint or a client_id/],
  [
    'a repeated address',
    () => ({
      client_id: client.client_id,
      post_logout_redirect_uri: [post_logout_redirect_uri, post_logout_redirect_uri],
    }),
    /must not be provided twice/,
  ],
  [
    'a hint of another client',
    () => ({ id_token_hint: hint, client_id: other.client_id, post_logout_redirect_uri }),
    /does not match/,
  ],
  [
    'a hint that was tampered with',
    () => ({ id_token_hint: tampered(hint), post_logout_redirect_uri }),
    /validate id_token_hint/,
  ],
  [
    'a hint without a signature',
    () => ({ id_token_hint: `${hint.split('.').slice(0, 2).join('.')}.`, post_logout_redirect_uri }),
    /id_token_hint/,
  ],
  [
    'a hint that is nonsense',
    () => ({ id_token_hint: 'nonsense', client_id: client.client_id, post_logout_redirect_uri }),
    /decode id_token_hint/,
  ],
  ['a client that does not exist', () => ({ client_id: 'nobody', post_logout_redirect_uri }), /client/],
  [
    'a state that is too long',
    () => ({ client_id: client.client_id, post_logout_redirect_uri, state: 'x'.repeat(2_049) }),
    /state is too long/,
  ],
]

test('a sign-out returns to an address that a stranger registered only with an ID token of that client', async () => {
  const theirs = 'https://stranger.example/out'
  const metadata = { redirect_uris: ['https://rp.example/cb'], post_logout_redirect_uris: [theirs] }
  const stranger = await registered(postern, await createToken(postern), metadata)
  const request = { client_id: stranger.client_id, post_logout_redirect_uri: theirs }
  const nobody = createVisitor(postern.issuer)
  expect((await leave(request, nobody)).body).toContain(signedOut)
  const begun = await login(postern, stranger, { email })
  const hinted = { ...request, id_token_hint: String(begun.tokens.id_token) }
  expect((await leave(hinted, begun.visitor)).url).toBe(theirs)
  expect((await leave(hinted, nobody)).url).toBe(theirs)
  expect((await leave({ client_id: client.client_id, post_logout_redirect_uri }, nobody)).url).toBe(
    post_logout_redirect_uri,
  )
})

describe('RP-Initiated Logout §4: a mistake in the request prevents only the redirect:', () => {
  test.each(mistakes)(
    'with %s, the page asks, signs out, and says that it could not return',
    async (_what, parameters, reason) => {
      postern.logged.length = 0
      const page = await leave(parameters())
      expect([page.status, page.body.includes(question), page.body.includes(cannotReturn)]).toEqual([200, true, true])
      expect(
        postern.logged.filter((line) => line.includes('"path":"/oauth/logout"') && reason.test(line)),
      ).toHaveLength(1)
      expect(await isSignedIn()).toBe(true)

      const done = await signOut(page)
      expect([done.status, new URL(done.url).origin]).toEqual([200, postern.issuer])
      expect([done.body.includes(signedOut), done.body.includes(didNotReturn)]).toEqual([true, true])
      expect(await isSignedIn()).toBe(false)
    },
  )

  test.each(mistakes)('with %s, a person who is not signed in learns that', async (_what, parameters) => {
    const stranger = createVisitor(postern.issuer)
    const page = await leave(parameters(), stranger)
    expect([page.status, new URL(page.url).origin]).toEqual([200, postern.issuer])
    expect([page.body.includes(signedOut), page.body.includes(didNotReturn)]).toEqual([true, true])
    expect(stranger.cookies.size).toBe(0)
  })

  test('the page still links to the app', async () => {
    const page = await leave({ id_token_hint: hint, post_logout_redirect_uri: 'https://evil.example/' })
    expect((await signOut(page)).body).toContain('href="https://rp.example/"')
  })

  test('the person may stay signed in', async () => {
    const page = await stay(
      await leave({ client_id: client.client_id, post_logout_redirect_uri: 'https://evil.example/' }),
    )
    expect([page.status, page.body.includes('You are still signed in')]).toEqual([200, true])
    expect(await isSignedIn()).toBe(true)
  })

  test('a request without a mistake shows no message', async () => {
    const page = await leave({ client_id: client.client_id })
    expect(page.body).not.toContain(cannotReturn)
    expect((await signOut(page)).body).not.toContain(didNotReturn)
  })
})

describe('a sign-out form that is sent twice', () => {
  test('shows that the person is signed out', async () => {
    const page = await leave({ client_id: client.client_id })
    await signOut(page)
    const again = await signOut(page)
    expect([again.status, again.body.includes(signedOut)]).toEqual([200, true])
  })

  test('signs out if both are sent at the same moment', async () => {
    const page = await leave({ client_id: client.client_id })
    const answers = await Promise.all([signOut(page), signOut(page)])
    for (const answer of answers) expect([answer.status, answer.body.includes(signedOut)]).toEqual([200, true])
    expect(await isSignedIn()).toBe(false)
  })

  test('asks once more if another tab outdated it, and then returns', async () => {
    const parameters = { client_id: client.client_id, post_logout_redirect_uri, state: 's' }
    const page = await leave(parameters)
    await leave(parameters)
    const again = await signOut(page)
    expect([again.status, again.body.includes(question)]).toEqual([200, true])
    expect((await signOut(again)).url).toBe(`${post_logout_redirect_uri}?state=s`)
    expect(await isSignedIn()).toBe(false)
  })
})

describe('RP-Initiated Logout §2: an ID token as a hint', () => {
  const expectAsked = async (parameters: Parameters, who = visitor) => {
    const page = await leave(parameters, who)
    expect([page.status, page.body.includes(question), page.body.includes(cannotReturn)]).toEqual([200, true, false])
    expect(await isSignedIn(who)).toBe(true)
  }

  test('causes a question if it is of another person', async () => {
    const grace = await login(postern, client, { email: 'grace@example.com' })
    await expectAsked({ id_token_hint: hint, post_logout_redirect_uri }, grace.visitor)
  })

  test('causes a question if it is of an earlier session of the same person', async () => {
    const before = Date.now
    try {
      Date.now = () => before() + 60_000
      const later = await login(postern, client, { email })
      await expectAsked({ id_token_hint: hint, post_logout_redirect_uri }, later.visitor)
    } finally {
      Date.now = before
    }
  })

  test('causes a question if it is of an app that the person has not used in this session', async () => {
    const elsewhere = await login(postern, other, { email })
    await expectAsked({
      id_token_hint: String(elsewhere.tokens.id_token),
      post_logout_redirect_uri: 'https://b.example/bye',
    })
  })

  test('causes a question if it has the sid of another session', async () => {
    const told = await postern.createClient({
      backchannel_logout_uri: 'https://rp.example/told',
      backchannel_logout_session_required: true,
      post_logout_redirect_uris: [post_logout_redirect_uri],
    })
    const [one, two] = [await login(postern, told, { email }), await login(postern, told, { email })]
    await expectAsked({ id_token_hint: String(one.tokens.id_token), post_logout_redirect_uri }, two.visitor)
  })

  test('causes no question if it has the person’s pairwise subject', async () => {
    const pairwise = await postern.createClient({
      subject_type: 'pairwise',
      post_logout_redirect_uris: [post_logout_redirect_uri],
    })
    const { tokens, visitor: person } = await login(postern, pairwise, { email })
    const left = await leave({ id_token_hint: String(tokens.id_token), post_logout_redirect_uri }, person)
    expect(left.url).toBe(post_logout_redirect_uri)
  })

  test('ends the same as the form: tokens of the session and other apps, but not offline access', async () => {
    const receiver = await createReceiver()
    const listening = await postern.createClient({ backchannel_logout_uri: `${receiver.url}/told` })
    const bound = await login(postern, listening, { email, visitor })
    const offline = await login(postern, other, { email, visitor, scope: 'openid offline_access' })
    const isActive = async (of: typeof bound) =>
      (await oidc.tokenIntrospection(of.config, String(of.tokens.refresh_token ?? of.tokens.access_token))).active
    expect([await isActive(bound), await isActive(offline)]).toEqual([true, true])

    const stolen = createVisitor(postern.issuer)
    for (const [name, cookie] of visitor.cookies) stolen.cookies.set(name, cookie)
    expect((await leave({ id_token_hint: hint, post_logout_redirect_uri })).url).toBe(post_logout_redirect_uri)
    expect([await isActive(bound), await isActive(offline)]).toEqual([false, true])
    expect(receiver.received).toHaveLength(1)
    expect(await isSignedIn(stolen)).toBe(false)
    expect([...visitor.cookies.keys()].filter((name) => name.includes('session'))).toEqual([])
    const [event] = await postern.database.query(`select type from audit_events where type = 'session.ended' limit 1`)
    expect(event).toBeDefined()
    await receiver.stop()
  })
})

describe('a server that requests a sign-out without the person’s browser', () => {
  const askAsServer = (parameters: Parameters, accept = '*/*') =>
    send(postern, `/oauth/logout?${new URLSearchParams(parameters as Record<string, string>)}`, { headers: { accept } })

  test.each(['*/*', 'application/json'])(
    'gets an error that says that nothing has ended, when it accepts %s',
    async (accept) => {
      const { status, json } = await askAsServer({ id_token_hint: hint }, accept)
      expect([status, json['error'], json['error_description']]).toEqual([
        400,
        'invalid_request',
        expect.stringContaining('nothing has ended'),
      ])
      expect(await isSignedIn()).toBe(true)
    },
  )

  test('gets the error of its token', async () => {
    const { status, json } = await askAsServer({ id_token_hint: tampered(hint) })
    expect([status, json['error_description']]).toEqual([400, 'could not validate id_token_hint'])
  })

  test('is not confused with a browser', async () => {
    const page = await askAsServer({ id_token_hint: hint }, 'text/html,*/*;q=0.8')
    expect([page.status, page.headers.get('location')]).toEqual([
      303,
      `/oauth/logout/success?client_id=${client.client_id}`,
    ])
    const back = await askAsServer({ id_token_hint: hint, post_logout_redirect_uri })
    expect([back.status, back.headers.get('location')]).toEqual([303, post_logout_redirect_uri])
  })
})

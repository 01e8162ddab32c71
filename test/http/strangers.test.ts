import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { routes } from '../../src/oidc/endpoints.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createToken, manage, type Registered, redirect_uris, registered } from '../support/registration.ts'
import { login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { type Answer, basic, createKey, type Sent, send } from '../support/wire.ts'

const email = 'ada@example.com'
const kilobytes = 100 // per hour and network: the lowest possible setting
const changes = 5
let postern: TestPostern
let open: ClientMetadata
let confidential: ClientMetadata

beforeAll(async () => {
  postern = await startPostern({
    TRUSTED_PROXIES: '127.0.0.1,::1',
    OPEN_REGISTRATION: 'true',
    OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR: '10',
    KEPT_KILOBYTES_PER_NETWORK_PER_HOUR: String(kilobytes),
    KEPT_KILOBYTES_PER_CLIENT_PER_HOUR: String(2 * kilobytes),
    REGISTRATION_CHANGES_PER_CLIENT_PER_HOUR: String(changes),
    REGISTRATION_CHANGES_PER_NETWORK_PER_HOUR: String(2 * changes),
  })
  await postern.createAccount(email)
  const grants = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code']
  open = await postern.createClient({ token_endpoint_auth_method: 'none', grant_types: grants })
  confidential = await postern.createClient({ grant_types: grants })
})
afterEach(() => vi.useRealTimers())
afterAll(() => postern?.stop())

const authorization = () => ({
  client_id: open.client_id,
  response_type: 'code',
  redirect_uri: 'https://rp.example/cb',
  scope: 'openid',
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbvhwGZSjQkE',
  code_challenge_method: 'S256',
  state: 'x'.repeat(500),
})
const query = () => new URLSearchParams(authorization())
const client_id = () => open.client_id
const html = { accept: 'text/html' }

type Reach = { path?: () => string; sent?: () => Sent; keeps: 'rows' | 'nothing' }

// Everything that is reachable without an account or a credential. A new route without a line here does not compile.
const engine: Record<keyof typeof routes, Reach> = {
  authorization: { path: () => `${routes.authorization}?${query()}`, sent: () => ({ headers: html }), keeps: 'rows' },
  pushed_authorization_request: { sent: () => ({ form: authorization() }), keeps: 'rows' },
  device_authorization: { sent: () => ({ form: { client_id: client_id(), scope: 'openid' } }), keeps: 'rows' },
  code_verification: { sent: () => ({ headers: html }), keeps: 'rows' },
  end_session: { sent: () => ({ headers: html }), keeps: 'nothing' },
  registration: { sent: () => ({ body: { redirect_uris } }), keeps: 'rows' },
  token: {
    sent: () => ({ form: { client_id: client_id(), grant_type: 'authorization_code', code: 'x', redirect_uri: 'x' } }),
    keeps: 'nothing',
  },
  introspection: { sent: () => ({ form: { client_id: client_id(), token: 'x' } }), keeps: 'nothing' },
  revocation: { sent: () => ({ form: { client_id: client_id(), token: 'x' } }), keeps: 'nothing' },
  userinfo: { sent: () => ({ bearer: 'x' }), keeps: 'nothing' },
  jwks: { keeps: 'nothing' },
}
const ours: Record<string, Reach> = {
  'GET /device?user_code=': {
    path: () => '/device?user_code=AAAA-AAAA',
    sent: () => ({ headers: html }),
    keeps: 'rows',
  },
  'the home page': { path: () => '/', keeps: 'nothing' },
  'a page of an interaction': { path: () => '/interaction/unknown', keeps: 'nothing' },
  'a form of an interaction': {
    path: () => '/interaction/unknown/sign-in',
    sent: () => ({ form: { email } }),
    keeps: 'nothing',
  },
  'continuing after an interaction': { path: () => '/oauth/authorize/unknown', keeps: 'nothing' },
  'continuing with a device': { path: () => '/device/unknown', keeps: 'nothing' },
  'confirming the end of a session': {
    path: () => '/oauth/logout/confirm',
    sent: () => ({ form: { xsrf: 'x' } }),
    keeps: 'nothing',
  },
  'the end of a session': { path: () => '/oauth/logout/success', keeps: 'nothing' },
  'a registration': { path: () => '/oauth/register/unknown', sent: () => ({ bearer: 'x' }), keeps: 'nothing' },
  'the admin API': { path: () => '/admin/api/clients', keeps: 'nothing' },
  health: { path: () => '/health/ready', keeps: 'nothing' },
  metadata: { path: () => '/.well-known/openid-configuration', keeps: 'nothing' },
}
const all: [string, Reach][] = [
  ...Object.entries(engine).map(([name, reach]): [string, Reach] => [
    name,
    { path: () => routes[name as keyof typeof routes], ...reach },
  ]),
  ...Object.entries(ours),
]
const reachOf = (name: keyof typeof routes): Reach => ({ path: () => routes[name], ...engine[name] })
const those = (keeps: Reach['keeps']) => all.filter(([, reach]) => reach.keeps === keeps)

let networks = 0
function newNetwork(): string {
  networks += 1
  return `2001:db8:${networks.toString(16)}:0`
}
/** Names one of the 65,536 networks of a /48. */
const within = (network: string, n: number) => `${network.slice(0, -2)}:${n.toString(16)}`

function askFrom(network: string, { path, sent }: Reach): Promise<Answer> {
  const { headers, ...rest } = sent?.() ?? {}
  const address = `${network}::${Math.floor(Math.random() * 65_536).toString(16)}` // any of the /64
  return send(postern, path?.() ?? '/', { ...rest, headers: { ...headers, 'x-forwarded-for': address } })
}

async function rows(): Promise<number> {
  // Keys are made on a schedule, independently of requests.
  const tables = ['artifacts', 'sessions', 'replays', 'clients', `audit_events where type not like 'key.%'`]
  const [row] = await postern.database.query(
    `select ${tables.map((table) => `(select count(*) from ${table})::int`).join(' + ')} as n`,
  )
  return Number(row?.['n'])
}

/**
 * Sends requests from one network until one is limited, or until there were more than its allowance can cover. The
 * clock stands still from then on, because allowances grow again with time.
 */
async function exhaust(network: string, reach: Reach): Promise<Answer[]> {
  vi.useFakeTimers({ toFake: ['Date'] })
  const answers: Answer[] = []
  for (let n = 0; n < 40 && !answers.some(({ status }) => status === 429); n++) {
    answers.push(...(await Promise.all(Array.from({ length: 5 }, () => askFrom(network, reach)))))
  }
  return answers
}

describe('storage for strangers is counted by network:', () => {
  test.each(those('rows'))(
    '%s is rejected above the limit, with a time to retry, and writes no row',
    async (_name, reach) => {
      const network = newNetwork()
      const answers = await exhaust(network, reach)
      expect(answers.filter(({ status }) => status < 400).length).toBeGreaterThan(0)
      expect(answers.some(({ status }) => status === 429)).toBe(true)

      const before = await rows()
      const refused = await Promise.all(Array.from({ length: 5 }, () => askFrom(network, reach)))
      for (const { status, headers, json, text } of refused) {
        expect(status, text).toBe(429)
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
        expect([headers.get('set-cookie'), headers.get('location')]).toEqual([null, null])
        if (reach.sent?.().headers === html) expect(text).toContain('Too many requests')
        else
          expect(json).toMatchObject({
            error: 'temporarily_unavailable',
            error_description: expect.stringContaining('try again'),
          })
      }
      expect(await rows()).toBe(before)
      expect((await askFrom(newNetwork(), reach)).status).toBeLessThan(400)
    },
  )

  test.each(those('nothing'))('%s writes no row, however often it is called', async (_name, reach) => {
    const network = newNetwork()
    const before = await rows()
    for (let n = 0; n < 5; n++) await askFrom(network, reach)
    expect(await rows()).toBe(before)
  })

  test.each([
    ['/56', 2, 1],
    ['/48', 4, 256],
  ])('the networks of a %s together have %i times the allowance of one', async (_prefix, times, apart) => {
    vi.useFakeTimers({ toFake: ['Date'] }) // with time, allowances grow again
    const [one, many] = [newNetwork(), newNetwork()]
    const reach = reachOf('code_verification')
    const letIn = async (networkOf: (n: number) => string) => {
      let count = 0
      while (count < 1_000 && (await askFrom(networkOf(count), reach)).status === 200) count += 1
      return count
    }
    const most = await letIn(() => one)
    const together = await letIn((n) => within(many, (n % 200) * apart))
    expect(together).toBeGreaterThan(most * times * 0.9)
    expect(together).toBeLessThan(most * times * 1.1)
  })

  test('all kinds of request from one network share its allowance', async () => {
    const network = newNetwork()
    await exhaust(network, reachOf('code_verification'))
    for (const [name, reach] of those('rows')) {
      if (name === 'registration') continue // counted separately
      expect([name, (await askFrom(network, reach)).status]).toEqual([name, 429])
    }
  })
})

describe('RFC 9449 §10.1: the proof of a pushed request that was rejected', () => {
  const proof = async () => {
    const { key, jwks } = await createKey()
    const { kty, crv, x, y } = jwks.keys[0] as Record<string, string>
    const claims = { htm: 'POST', htu: `${postern.issuer}/oauth/par`, iat: Math.floor(Date.now() / 1000) }
    return new SignJWT({ ...claims, jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } as never })
      .sign(key)
  }
  const push = (network: string, dpop: string, more: Record<string, string> = {}) =>
    send(postern, '/oauth/par', {
      form: { ...authorization(), ...more },
      headers: { dpop, 'x-forwarded-for': `${network}::1` },
    })

  test.each([
    ['because too much was stored already', 429, {}],
    ['because it was malformed', 400, { nonce: 'x'.repeat(5_000) }],
  ])('%s leaves no row and can be used again', async (_why, status, more) => {
    const network = newNetwork()
    if (status === 429) await exhaust(network, reachOf('authorization'))
    const dpop = await proof()
    const before = await rows()
    expect((await push(network, dpop, more)).status).toBe(status)
    expect(await rows()).toBe(before)
    expect((await push(newNetwork(), dpop)).status).toBe(201)
    expect((await push(newNetwork(), dpop)).status).toBe(400)
  })
})

describe('a known party is not counted with the strangers of a network:', () => {
  const from = (network: string) => ({ 'x-forwarded-for': `${network}::1` })

  test('a person who is signed in can continue where strangers have to wait', async () => {
    const network = newNetwork()
    const { visitor } = await login(postern, open, { email })
    await exhaust(network, reachOf('authorization'))
    const page = await visitor.get(`/oauth/authorize?${query()}&prompt=consent`, from(network))
    expect([page.status, new URL(page.url).pathname]).toEqual([200, expect.stringContaining('/interaction/')])
    expect((await createVisitor(postern.issuer).get(`/oauth/authorize?${query()}`, from(network))).status).toBe(429)
  })

  test('a client that authenticates is counted separately, from any network', async () => {
    const push = (network: string) =>
      send(postern, '/oauth/par', {
        form: { ...authorization(), client_id: confidential.client_id },
        headers: {
          ...from(network),
          authorization: basic(confidential.client_id, String(confidential['client_secret'])),
        },
      })
    const network = newNetwork()
    await exhaust(network, reachOf('authorization'))
    expect((await push(network)).status).toBe(201)
    const answers: number[] = []
    while (answers.length < 400 && !answers.includes(429)) answers.push((await push(newNetwork())).status)
    expect(answers).toContain(429)
    const before = await rows()
    expect((await push(newNetwork())).status).toBe(429)
    expect(await rows()).toBe(before)
    expect((await askFrom(newNetwork(), reachOf('pushed_authorization_request'))).status).toBe(201)
  })

  test('a client that nobody vouches for is counted by network too, even if it has a secret', async () => {
    const network = newNetwork()
    const headers = from(newNetwork())
    const { json } = await send(postern, '/oauth/register', { body: { redirect_uris }, headers })
    const stranger = json as ClientMetadata
    const push = (headers: Record<string, string>) =>
      send(postern, '/oauth/par', {
        form: { ...authorization(), client_id: stranger.client_id },
        headers: { ...headers, authorization: basic(stranger.client_id, String(stranger['client_secret'])) },
      })
    await exhaust(network, reachOf('authorization'))
    expect((await push(from(network))).status).toBe(429)
    expect((await push(from(newNetwork()))).status).toBe(201)
  })
})

describe('RFC 7592 §2: changes that clients make themselves', () => {
  const change = async (client: Registered, network: string) => {
    const { registration_access_token: bearer, registration_client_uri: uri, client_id } = client
    const answer = await send(postern, new URL(uri).pathname, {
      method: 'PUT',
      bearer,
      body: { client_id, redirect_uris, client_name: 'Changed' },
      headers: { 'x-forwarded-for': `${network}::1` },
    })
    if (answer.status === 200) client.registration_access_token = String(answer.json['registration_access_token'])
    return answer
  }

  test('are counted by client, and a rejected one changes nothing and keeps its token', async () => {
    const client = await registered(postern, await createToken(postern))
    for (let n = 0; n < changes; n++) expect((await change(client, newNetwork())).status).toBe(200)
    const before = await rows()
    const refused = await change(client, newNetwork())
    expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([429, true])
    expect(refused.json).toMatchObject({ error: 'temporarily_unavailable' })
    expect(await rows()).toBe(before)
    expect((await manage(postern, client, 'GET')).status).toBe(200)
    expect((await manage(postern, client, 'DELETE')).status).toBe(429)
  })

  test('are counted by network, across all clients', async () => {
    const network = newNetwork()
    const token = await createToken(postern)
    const answers: number[] = []
    for (let client = 0; client < 4; client++) {
      const one = await registered(postern, token)
      for (let n = 0; n < changes - 1; n++) answers.push((await change(one, network)).status)
    }
    expect(answers.filter((status) => status === 200)).toHaveLength(2 * changes)
    expect(answers.at(-1)).toBe(429)
  })

  test('are not used up by a stranger with another token', async () => {
    const client = await registered(postern, await createToken(postern))
    for (let n = 0; n < 2 * changes; n++) await manage(postern, client, 'PUT', { redirect_uris }, 'not-the-token')
    expect((await change(client, newNetwork())).status).toBe(200)
  })
})

describe('audit events that strangers cause', () => {
  const ends = (condition: string, parameter: string) =>
    postern.database.query(`select type, expires_at from audit_events where ${condition} = $1 order by id`, [parameter])

  test('expire if a client that nobody vouches for or a failed sign-in caused them', async () => {
    const { json } = await send(postern, '/oauth/register', {
      body: { redirect_uris },
      headers: { 'x-forwarded-for': `${newNetwork()}::1` },
    })
    const client = json as Registered
    await manage(postern, client, 'PUT', { redirect_uris })
    const [token = ''] = (await ends('client_id', client.client_id)).map(({ type }) => String(type))
    expect(token).toBe('client.registered')
    const events = await ends('client_id', client.client_id)
    expect(events.map(({ type }) => type)).toEqual(['client.registered', 'client.updated'])
    for (const { expires_at } of events) expect(expires_at).toBeInstanceOf(Date)

    const visitor = createVisitor(postern.issuer)
    await visitor.signIn(await visitor.get(`/oauth/authorize?${query()}`), email, 'wrong')
    const failed = await ends('type', 'sign_in.failed')
    expect(failed).toEqual([{ type: 'sign_in.failed', expires_at: expect.any(Date) }])
  })

  test('do not expire if an administrator caused them or vouched with a token', async () => {
    const client = await registered(postern, await createToken(postern))
    expect(await ends('client_id', client.client_id)).toEqual([{ type: 'client.registered', expires_at: null }])
    expect(await ends('type', 'registration_token.created')).not.toHaveLength(0)
    for (const { expires_at } of await ends('type', 'registration_token.created')) expect(expires_at).toBeNull()
  })
})

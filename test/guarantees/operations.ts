import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, beginLogout, browserAt, call, snapshot } from '../concurrency/journey.ts'
import { apiScopes, stalenessMs } from './deployment.ts'
import { refreshes, refreshesWithNewSecret, returnsElsewhere, signsIn, signsInElsewhere } from './goes-on.ts'
import type { Place, Trait } from './places.ts'
import type { Remain } from './remains.ts'
import { type Driver, otherRedirectUri, request, type World } from './world.ts'

/** An operation that ends what was issued or is under way. */
export type Operation = {
  /** Completes the sentence that begins with a place. */
  verdict: string
  perform(world: World): Promise<unknown>
  /** Tells whether this must not remain of a flow that began before the operation. */
  ends(remain: Remain): boolean
  /** Checks what must still work or may start again, since breaking everything adds no safety. Throws if it does not. */
  goesOn?(world: World, outcome: unknown): Promise<unknown>
  /** The person at the browser afterwards. */
  driver: Driver
  /** How long a process may still use outdated data. */
  staleForMs: number
  /** Metadata of the client, where it matters. */
  client?: Record<string, unknown>
  /** Whether codes are redeemed for tokens of the API. */
  isAboutApi?: boolean
  scope?: (place: Place) => string
  /** Tells whether the order matters when the two are raced, since what came first may stay. */
  isOrdered?: (place: Place) => boolean
  /** Gives the reason if the operation ends nothing in this place. */
  sparing(place: Place): string | undefined
}

const everything = () => true
const tokens = ({ what }: Remain) => what !== 'session'
const scopes =
  (...names: string[]) =>
  ({ scopes }: Remain) =>
    names.some((name) => scopes.includes(name))
const nothing = () => undefined
const unless =
  (reasons: Partial<Record<Trait, string>>) =>
  ({ traits }: Place) =>
    traits.map((trait) => reasons[trait]).find((reason) => reason !== undefined)

const firstParty = { first_party: true }
const newPassword = 'another horse battery staple'
const identified = ({ api: identifier }: World) => ({ identifier })
const named = ({ client: { client_id } }: World) => ({ client_id })
const administer =
  (command: string, input: (world: World) => Record<string, unknown>) =>
  (world: World): Promise<unknown> =>
    world.deployment.administer(world.there, command, input(world))
const signsInAgain = (world: World) => signsIn(world)
const account = ({ accountId }: World) => ({ account: accountId })

/** The common part of operations that end everything of an account: everyone signed in to it is signed out. */
const ofAccount = { ends: everything, driver: 'thief', staleForMs: 0, client: firstParty, sparing: nothing } as const

/** The control that everything must survive; otherwise the cells of the matrix would prove nothing. */
export const nothingAtAll: Operation = {
  ...ofAccount,
  verdict: 'yields nothing after nothing happened',
  perform: async () => {},
  goesOn: signsInAgain,
  driver: 'person',
  client: {},
}

/** A second control, which changes the client that the requests rest on but ends nothing. */
export const harmlessChange: Operation = {
  ...nothingAtAll,
  verdict: 'yields nothing after a harmless change of the client',
  perform: administer('client update', (world) => ({ ...named(world), contacts: ['ada@example.com'] })),
}

export const operations: Operation[] = [
  {
    ...ofAccount,
    verdict: 'yields nothing after the password was set',
    perform: administer('account set-password', (world) => ({ ...account(world), password: newPassword })),
    goesOn: (world) => signsIn(world, newPassword),
  },
  {
    ...ofAccount,
    verdict: 'yields nothing after the account was disabled and enabled',
    async perform(world) {
      await administer('account disable', account)(world)
      await administer('account enable', account)(world)
    },
    goesOn: signsInAgain,
  },
  {
    ...ofAccount,
    verdict: 'yields nothing after the account was disabled',
    perform: administer('account disable', account),
  },
  {
    ...ofAccount,
    verdict: 'yields nothing after the account was deleted',
    perform: administer('account delete', account),
  },
  {
    ...ofAccount,
    verdict: 'yields nothing after the person signed out',
    perform: async ({ there, browser }) => (await beginLogout(browserAt(there, browser.cookies)))(),
    // Offline access outlives the session that granted it (OpenID Connect Core §11).
    scope: ({ traits }) => (traits.includes('issued') ? 'openid email' : 'openid email offline_access'),
    isOrdered: () => true,
    sparing: unless({
      'sign-in': 'it is a sign-in of its own, in another browser',
      refresh: 'offline access outlives the session (OpenID Connect Core §11)',
    }),
    goesOn: signsInAgain,
  },
  {
    verdict: 'yields no token after the grant was revoked',
    async perform(world) {
      const grants = { account_id: world.accountId, client_id: world.client.client_id }
      const { json } = await world.deployment.administer(world.there, 'grant list', grants)
      const [{ id } = { id: '' }] = json['items'] as { id: string }[]
      await world.deployment.administer(world.there, 'grant revoke', { id })
    },
    ends: tokens,
    driver: 'nobody',
    staleForMs: 0,
    isOrdered: ({ traits }) => traits.includes('consent'),
    sparing: nothing,
    goesOn: signsInAgain,
  },
  {
    verdict: 'yields no scope that the person withdrew',
    perform: narrowConsent,
    ends: scopes('email', 'write'),
    driver: 'nobody',
    staleForMs: 0,
    isOrdered: ({ traits }) => traits.includes('consent'),
    sparing: nothing,
    goesOn: refreshes,
  },
  {
    verdict: 'yields no token after the client stopped being first-party',
    client: firstParty,
    perform: administer('client update', (world) => ({ ...named(world), first_party: null })),
    ends: tokens,
    driver: 'nobody',
    staleForMs: 0,
    sparing: unless({ consent: 'the person was asked' }),
    goesOn: signsInAgain,
  },
  {
    verdict: 'sends no code to a redirect URI that was removed',
    perform: administer('client update', (world) => ({ ...named(world), redirect_uris: [otherRedirectUri] })),
    ends: tokens,
    driver: 'person',
    staleForMs: 0,
    isOrdered: ({ traits }) => traits.includes('issued'),
    sparing: unless({
      device: 'a device has no redirect URI',
      refresh: 'what was issued to the client before was issued to it',
      complete: 'what was issued to the client before was issued to it',
    }),
    goesOn: returnsElsewhere,
  },
  {
    verdict: 'yields no scope that was removed from the client',
    perform: administer('client update', (world) => ({ ...named(world), scope: 'openid offline_access read' })),
    ends: scopes('email', 'write'),
    driver: 'person',
    staleForMs: stalenessMs,
    sparing: nothing,
    goesOn: refreshes,
  },
  {
    verdict: 'yields no scope that was removed from the API',
    isAboutApi: true,
    perform: administer('resource update', (world) => ({ ...identified(world), scopes: { read: apiScopes.read } })),
    ends: scopes('write'),
    driver: 'person',
    staleForMs: stalenessMs,
    sparing: nothing,
    goesOn: refreshes,
  },
  {
    verdict: 'gives no access to an API that was deleted',
    isAboutApi: true,
    perform: administer('resource delete', identified),
    ends: ({ at, scopes }) => at === 'the API' && scopes.includes('read'),
    driver: 'person',
    staleForMs: stalenessMs,
    sparing: nothing,
    goesOn: refreshes,
  },
  {
    verdict: 'gives no access to a new API with the address of a deleted one',
    isAboutApi: true,
    async perform(world) {
      const { there, deployment } = world
      await administer('resource delete', identified)(world)
      const { client_id } = deployment.apiClient
      await deployment.administer(there, 'resource create', { ...identified(world), scopes: apiScopes, client_id })
    },
    ends: ({ at, scopes }) => at === 'the API' && scopes.includes('read'),
    driver: 'nobody',
    staleForMs: stalenessMs,
    sparing: nothing,
    goesOn: refreshes,
  },
  {
    verdict: 'yields nothing to a client that was disabled',
    perform: administer('client disable', named),
    ends: tokens,
    driver: 'person',
    staleForMs: stalenessMs,
    sparing: nothing,
    goesOn: signsInElsewhere,
  },
  {
    verdict: 'yields nothing to a client that was deleted',
    perform: administer('client delete', named),
    ends: tokens,
    driver: 'person',
    staleForMs: stalenessMs,
    sparing: nothing,
    goesOn: signsInElsewhere,
  },
  {
    verdict: 'yields nothing after the client lost its secret and became public',
    async perform(world) {
      await administer('client update', (world) => ({ ...named(world), token_endpoint_auth_method: 'none' }))(world)
      world.client['token_endpoint_auth_method'] = 'none'
    },
    ends: tokens,
    driver: 'nobody',
    staleForMs: 0,
    sparing: ({ traits }) =>
      traits.includes('issued') ? undefined : 'what it asks for is issued to the public client',
    goesOn: signsInAgain,
  },
  {
    verdict: 'yields no token to an attacker who knows only the replaced secret',
    perform: replaceSecret,
    ends: tokens,
    driver: 'person',
    staleForMs: 0,
    isOrdered: ({ traits }) => traits.includes('issued'),
    sparing: unless({ complete: 'its tokens are still those of the client' }),
    goesOn: refreshesWithNewSecret,
  },
]

/** Gives the client another secret, and waits until the process of the flow knows it (docs/operations.md). */
async function replaceSecret(world: World): Promise<Answer> {
  const { deployment, here, there, client } = world
  const input = { ...named(world), overlap_seconds: 0 }
  const answer = await deployment.administer(there, 'client rotate-secret', input)
  for (const until = Date.now() + stalenessMs; Date.now() < until; await sleep(50)) {
    const { status } = await call(here, '/oauth/introspect', { client, form: { token: 'none' } })
    if (status === 401) return answer
  }
  throw new Error('the old secret is still accepted')
}

/** Clears two checkboxes on the consent page in another tab. */
async function narrowConsent(world: World): Promise<void> {
  const tab = browserAt(world.there, snapshot(world.browser))
  const page = await tab.get(request(world, { prompt: 'consent' }).path)
  await tab.submit(page, '/consent', {
    decision: 'allow',
    scope: ['openid', 'offline_access'],
    resource_scope: `${world.api} read`,
  })
}

import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import {
  type Answer,
  authorizationRequest,
  browserAt,
  type Code,
  type Reachable,
  snapshot,
  token,
  tokensOf,
} from '../concurrency/journey.ts'
import type { Fetch, ServerProcess } from '../support/processes.ts'
import type { Page, Visitor } from '../support/visitor.ts'
import type { Deployment, Post } from './deployment.ts'

/** The person at the browser when a parked flow continues, which decides what is clicked. */
export type Driver =
  /** Someone with a browser that was signed in, who allows everything but knows no valid password. */
  | 'thief'
  /** The person, who signs in and allows everything asked for. */
  | 'person'
  /** Nobody: only redirects are followed. */
  | 'nobody'

/** The data of one cell of the matrix: a person who signed in and consented, and the app they did it for. */
export type World = {
  deployment: Deployment
  /** The process that holds the flow. */
  post: Post
  /** `here` is the process of the flow, `there` that of the operation. With one process they are the same. */
  here: Reachable
  there: Reachable
  email: string
  accountId: string
  client: ClientMetadata
  api: string
  /** The scopes that every flow asks for. */
  scope: string
  /** Whether codes are redeemed for tokens of the API instead of userinfo. */
  isAboutApi: boolean
  driver: Driver
  /** The person's browser, where they signed in. */
  browser: Visitor
  /** The tokens of the first login. */
  first: Issued
}

/** An attacker's possessions, kept from before or obtained by finishing a flow. */
export type Loot = { browsers: Visitor[]; codes: Code[]; deviceCodes: string[] } & Issued
export type Issued = { accessTokens: string[]; refreshTokens: string[] }

export type WorldOptions = {
  client?: Record<string, unknown>
  scope?: string
  driver: Driver
  isAboutApi: boolean
  /** Selects the process that holds the flow; `processes` says how many take part. */
  lane: number
  processes: 1 | 2
}

export const redirectUri = 'https://rp.example/cb'
export const otherRedirectUri = 'https://other.example/cb'
export const wholeScope = 'openid email offline_access read write'
export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
let worlds = 0

/** Creates an account and a client, signs the person in, and consents to everything for them. */
export async function createWorld(
  deployment: Deployment,
  { client: metadata, scope = wholeScope, driver, isAboutApi, lane, processes }: WorldOptions,
): Promise<World> {
  const number = ++worlds
  const email = `person${number}@example.com`
  const [accountId, client] = await Promise.all([
    deployment.createAccount(email),
    deployment.fleet.createClient({
      client_name: `App ${number}`,
      redirect_uris: [redirectUri, otherRedirectUri],
      grant_types: ['authorization_code', 'refresh_token', deviceGrant],
      scope: `${wholeScope} profile`,
      ...metadata,
    }),
  ])
  const post = deployment.posts[lane % 2 === 0 ? 0 : 1]
  const opposite = deployment.posts[lane % 2 === 0 ? 1 : 0]
  const address = `10.${(number >> 14) & 127}.${(number >> 7) & 127}.${number & 127}`
  const here = comingFrom(post.server, address)
  const there = processes === 1 ? here : comingFrom(opposite.server, address)
  const browser = browserAt(here)
  const world: World = {
    ...{
      deployment,
      post,
      here,
      there,
      email,
      accountId,
      client,
      api: deployment.takeApi(),
      scope,
      driver,
      isAboutApi,
      browser,
    },
    first: { accessTokens: [], refreshTokens: [] },
  }
  const loot = await follow({ ...world, driver: 'person' }, browser, request(world, { prompt: asksFirst(world) }))
  const [code] = loot.codes
  if (!code) throw new Error('the first login brought no code')
  return { ...world, first: issuedBy(await redeem(world, code)) }
}

function comingFrom(server: ServerProcess, address: string): Reachable {
  const fetch: Fetch = (input, init) =>
    server.fetch(input, { ...init, headers: { ...(init?.headers as object), 'x-forwarded-for': address } })
  return { issuer: server.issuer, fetch }
}

/** Redeems a code as this world's app does. */
export function redeem({ here, client, isAboutApi, api }: World, { code, verifier }: Code): Promise<Answer> {
  return token(here, client, {
    ...{ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: redirectUri },
    ...(isAboutApi && { resource: api }),
  })
}

/** Extracts the tokens of the token endpoint's answer, if there are any. */
export function issuedBy(answer: Answer): Issued {
  if (answer.status !== 200) return { accessTokens: [], refreshTokens: [] }
  const { accessToken, refreshToken } = tokensOf(answer)
  return { accessTokens: [accessToken], refreshTokens: refreshToken ? [refreshToken] : [] }
}

/** Builds an authorization request for everything the app wants. */
export function request(
  { client, scope, api }: World,
  { prompt = '' }: { prompt?: string } = {},
): { path: string; verifier: string } {
  return authorizationRequest(client, { scope, prompt, ...(scope.includes('read') && { resource: api }) })
}

/** Gives the `prompt` that grants offline access; a first-party client needs none (OIDC Core §11). */
export const asksFirst = ({ client }: Pick<World, 'client'>): string => (client['first_party'] ? '' : 'consent')

/** Creates a browser with the current cookies of another, as if someone had copied them. */
export function stolen({ here, browser }: World): Visitor {
  return browserAt(here, snapshot(browser))
}

/** Creates a browser that stops before it follows the redirect of a page; `visitor` has its cookies and continues. */
export function stoppingBrowser(here: Reachable, cookies: Visitor['cookies'] = new Map()) {
  const fetch: Fetch = async (input, init) =>
    /^\/(oauth\/authorize|device)\/./.test(new URL(String(input)).pathname)
      ? new Response('stopped', { status: 200 })
      : here.fetch(input, init)
  return { stopping: browserAt({ issuer: here.issuer, fetch }, cookies), visitor: browserAt(here, cookies) }
}

export const noLoot: Loot = { browsers: [], codes: [], deviceCodes: [], accessTokens: [], refreshTokens: [] }

/** Follows a page or an address, answers our pages as the driver would, and keeps what is issued. */
export async function follow(
  world: World,
  visitor: Visitor,
  { path, verifier }: { path: string; verifier: string },
): Promise<Loot> {
  const page = await clickThrough(world, visitor, await visitor.get(path))
  const url = new URL(page.url)
  const code = page.url.startsWith(redirectUri) ? url.searchParams.get('code') : null
  return { ...noLoot, browsers: [visitor], codes: code ? [{ code, verifier }] : [] }
}

/** Answers pages as the driver would, until one that the driver does not answer. */
export async function clickThrough({ driver, email }: World, visitor: Visitor, page: Page): Promise<Page> {
  let current = page
  for (let step = 0; step < 4 && current.url.includes('/interaction/'); step++) {
    if (driver === 'nobody') return current
    if (current.body.includes('name="password"')) {
      if (driver === 'thief') return current
      current = await visitor.signIn(current, email)
    } else if (current.body.includes('/continue"')) {
      current = await visitor.submit(current, '/continue', { decision: 'continue' })
    } else if (current.body.includes('/consent"')) {
      current = await visitor.allow(current)
    } else return current
  }
  return current
}

import { sha256 } from '../../src/crypto/digests.ts'
import { type Answer, browserAt, call, refresh, token } from '../concurrency/journey.ts'
import { mailTo } from '../support/mailbox.ts'
import { press } from '../support/people.ts'
import type { Page, Visitor } from '../support/visitor.ts'
import {
  asksFirst,
  clickThrough,
  deviceGrant,
  follow,
  issuedBy,
  type Loot,
  noLoot,
  redeem,
  request,
  stolen,
  stoppingBrowser,
  type World,
} from './world.ts'

/** A point between two steps of a flow where someone may leave it for any length of time. */
export type Place = {
  /** The subject of a sentence. */
  name: string
  traits: Trait[]
  park(world: World): Promise<Parked>
}

/** A feature that separates the places that an operation ends from those that it does not. */
export type Trait =
  /** The person signs in there, in a separate browser. */
  | 'sign-in'
  /** The person has answered a consent page. */
  | 'consent'
  | 'device'
  /** A code or a token was issued already. */
  | 'issued'
  | 'refresh'
  /** The flow is complete, and its tokens are in use. */
  | 'complete'

export type Parked = {
  /** Continues from there, and returns what the flow yields. */
  finish(): Promise<Loot>
  /** For a request in flight: bytes that its write carries and no write of another request does. */
  marks?: (string | Buffer)[]
}

const place = (name: string, traits: Trait[], park: Place['park']): Place => ({ name, traits, park })

/** Places where nothing happens until someone continues. */
const parkedPlaces: Place[] = [
  place('a sign-in page that was opened', ['sign-in'], async (world) => {
    const { stopping, visitor } = stoppingBrowser(world.here)
    const asked = request(world)
    const page = await stopping.get(asked.path)
    return { finish: () => goOn(world, visitor, page, asked.verifier) }
  }),
  place('a sign-in whose redirect was not followed', ['sign-in'], async (world) => {
    const { visitor, address, verifier } = await signInAndStop(world)
    return { finish: () => follow(world, visitor, { path: address, verifier }) }
  }),
  place('a code by mail that was not entered', ['sign-in'], async (world) => {
    const { visitor, page, verifier, mail } = await askForCode(world)
    return {
      finish: async () => goOn(world, visitor, await visitor.submit(page, '/code', { code: mail.code }), verifier),
    }
  }),
  place('a link to sign in that was opened', ['sign-in'], async (world) => {
    const { visitor, verifier, mail } = await askForCode(world)
    const opened = await visitor.get(mail.link)
    return { finish: async () => goOn(world, visitor, await visitor.submit(opened, '/link'), verifier) }
  }),
  place('a link to choose a password that was opened', ['sign-in'], async (world) => {
    const { visitor, path, verifier, mail } = await askForReset(world)
    const opened = await visitor.get(mail.link)
    return {
      async finish() {
        const done = await visitor.submit(opened, new URL(opened.url).pathname, { password: resetPassword })
        // A link that was refused leads nowhere. Then the password is tried all the same.
        const [, next = path] = /href="(\/interaction\/[^"]+)"/.exec(done.body) ?? []
        const page = await visitor.get(next)
        const isSignIn = page.body.includes('name="password"')
        return goOn(world, visitor, isSignIn ? await visitor.signIn(page, world.email, resetPassword) : page, verifier)
      },
    }
  }),
  place('a choice of account whose redirect was not followed', [], async (world) => {
    const { visitor, address, verifier } = await answerAndStop(world, 'select_account')
    return { finish: () => follow(world, visitor, { path: address, verifier }) }
  }),
  place('a consent whose redirect was not followed', ['consent'], async (world) => {
    const { visitor, address, verifier } = await answerAndStop(world, 'consent')
    return { finish: () => follow(world, visitor, { path: address, verifier }) }
  }),
  place('a pushed request that was not used', [], async (world) => {
    const { path, verifier } = await push(world)
    return { finish: () => follow(world, stolen(world), { path, verifier }) }
  }),
  place('a code that was not redeemed', ['issued'], async (world) => {
    const loot = await getCode(world)
    return { finish: async () => loot }
  }),
  place('a sign-in for a device whose redirect was not followed', ['sign-in', 'device'], async (world) => {
    const device = await beginDevice(world, world.scope)
    const { stopping, visitor } = stoppingBrowser(world.here)
    const page = await enterCode(stopping, device.userCode)
    const { url } = await stopping.signIn(page, world.email)
    return { finish: () => approve(world, visitor, url, device.deviceCode) }
  }),
  place('a consent for a device whose redirect was not followed', ['consent', 'device'], async (world) => {
    const device = await beginDevice(world, `${world.scope} profile`) // a new scope, so that a page asks for it
    const { stopping, visitor } = stoppingBrowser(world.here, stolen(world).cookies)
    const { url } = await stopping.allow(await enterCode(stopping, device.userCode))
    return { finish: () => approve(world, visitor, url, device.deviceCode) }
  }),
  place('an approved device that has not polled', ['issued', 'device'], async (world) => {
    const device = await beginDevice(world, world.scope)
    const page = await enterCode(stolen(world), device.userCode)
    if (page.status !== 200) throw new Error(`the device was not approved: ${page.status}`)
    return { finish: async () => ({ ...noLoot, deviceCodes: [device.deviceCode] }) }
  }),
  place('a complete login', ['issued', 'complete'], async (world) => ({
    finish: async () => ({ ...noLoot, browsers: [stolen(world)], ...world.first }),
  })),
]

/** Requests that have read all they need, and whose write is on its way. */
const flights: Place[] = [
  place('a sign-in that is being stored', ['sign-in'], async (world) => {
    const { stopping, visitor } = stoppingBrowser(world.here)
    const asked = request(world)
    const page = await stopping.get(asked.path)
    return {
      marks: marksOf(page),
      async finish() {
        const { url } = await stopping.signIn(page, world.email)
        return follow(world, visitor, { path: url, verifier: asked.verifier })
      },
    }
  }),
  place('a consent that is being stored', ['consent'], async (world) => {
    const { stopping, visitor } = stoppingBrowser(world.here, stolen(world).cookies)
    const asked = request(world, { prompt: 'consent' })
    const page = await stopping.get(asked.path)
    return {
      marks: marksOf(page),
      async finish() {
        const { url } = await stopping.allow(page)
        return follow(world, visitor, { path: url, verifier: asked.verifier })
      },
    }
  }),
  place('an authorization request in flight', [], async (world) => {
    const asked = request(world)
    return { marks: [world.accountId], finish: () => follow(world, stolen(world), asked) }
  }),
  place('a pushed request in flight', [], async (world) => {
    const asked = await push(world)
    return { marks: [world.accountId], finish: () => follow(world, stolen(world), asked) }
  }),
  place('a sign-in for a pushed request in flight', ['sign-in'], async (world) => {
    const { visitor, address, verifier } = await signInAndStop(world, await push(world))
    return { marks: [world.accountId], finish: () => follow(world, visitor, { path: address, verifier }) }
  }),
  place('a sign-in in flight', ['sign-in'], async (world) => {
    const { visitor, address, verifier } = await signInAndStop(world)
    return { marks: [world.accountId], finish: () => follow(world, visitor, { path: address, verifier }) }
  }),
  place('a consent in flight', ['consent'], async (world) => {
    const { visitor, address, verifier } = await answerAndStop(world, 'consent')
    return { marks: [world.accountId], finish: () => follow(world, visitor, { path: address, verifier }) }
  }),
  place('the redemption of a code in flight', ['issued'], async (world) => {
    const { codes } = await getCode(world)
    const [code = { code: '', verifier: '' }] = codes
    return {
      marks: [world.accountId],
      finish: async () => lootOf(await redeem(world, code)),
    }
  }),
  place('a refresh in flight', ['issued', 'refresh'], async (world) => ({
    marks: [world.accountId],
    finish: async () => lootOf(await refresh(world.here, world.client, String(world.first.refreshTokens[0]))),
  })),
  place('the approval of a device in flight', ['device'], async (world) => {
    const device = await beginDevice(world, world.scope)
    const browser = stolen(world)
    const shown = await browser.submit(await browser.get('/device'), '/device', { user_code: device.userCode })
    return {
      marks: [world.accountId],
      async finish() {
        const page = await clickThrough(world, browser, await browser.submit(shown, '/device', { confirm: 'yes' }))
        // A person who has to start again finds the code filled in.
        if (world.driver === 'person' && page.body.includes(device.userCode)) await enterCode(browser, device.userCode)
        return { ...noLoot, deviceCodes: [device.deviceCode] }
      },
    }
  }),
  place('the poll of a device in flight', ['issued', 'device'], async (world) => {
    const device = await beginDevice(world, world.scope)
    await enterCode(stolen(world), device.userCode)
    return {
      marks: [world.accountId],
      finish: async () => lootOf(await token(world.here, world.client, pollOf(device))),
    }
  }),
]

const lootOf = (answer: Answer): Loot => ({ ...noLoot, ...issuedBy(answer) })

async function goOn(world: World, visitor: Visitor, page: Page, verifier: string): Promise<Loot> {
  const { url } = await clickThrough(world, visitor, page)
  return follow(world, visitor, { path: url, verifier })
}

async function askForCode(world: World) {
  const { fleet } = world.deployment
  const visitor = browserAt(world.here)
  const { path, verifier } = request(world)
  const page = await press(visitor, await visitor.get(path), 'send-code', world.email)
  const mail = await mailTo({ database: fleet.database, server: { postern: fleet.operator } }, world.email)
  return { visitor, page, verifier, mail }
}

const resetPassword = 'the battery of a reset horse'

async function askForReset(world: World) {
  const { fleet } = world.deployment
  const visitor = browserAt(world.here)
  const { path, verifier } = request(world)
  const form = await press(visitor, await visitor.get(path), 'recover', world.email)
  await visitor.submit(form, '/forgot', { email: world.email })
  const mail = await mailTo({ database: fleet.database, server: { postern: fleet.operator } }, world.email)
  return { visitor, path, verifier, mail }
}

async function signInAndStop(world: World, { path, verifier } = request(world)) {
  const { stopping, visitor } = stoppingBrowser(world.here)
  const { url } = await stopping.signIn(await stopping.get(path), world.email)
  return { visitor, address: url, verifier }
}

async function answerAndStop(world: World, prompt: 'select_account' | 'consent') {
  const { stopping, visitor } = stoppingBrowser(world.here, stolen(world).cookies)
  const { path, verifier } = request(world, { prompt })
  const page = await stopping.get(path)
  const answered =
    prompt === 'consent'
      ? await stopping.allow(page)
      : await stopping.submit(page, '/continue', { decision: 'continue' })
  return { visitor, address: answered.url, verifier }
}

async function push(world: World): Promise<{ path: string; verifier: string }> {
  const { path, verifier } = request(world)
  const form = Object.fromEntries(new URL(path, world.here.issuer).searchParams)
  const { json } = await call(world.here, '/oauth/par', { client: world.client, form })
  const query = new URLSearchParams({ client_id: world.client.client_id, request_uri: String(json['request_uri']) })
  return { path: `/oauth/authorize?${query}`, verifier }
}

async function getCode(world: World): Promise<Loot> {
  const loot = await follow({ ...world, driver: 'person' }, stolen(world), request(world, { prompt: asksFirst(world) }))
  if (loot.codes.length === 0) throw new Error('no code came of the authorization request')
  return { ...loot, browsers: [] }
}

/** RFC 8628 §3.4 */
const pollOf = ({ deviceCode }: { deviceCode: string }) => ({ grant_type: deviceGrant, device_code: deviceCode })

async function beginDevice({ here, client, api }: World, scope: string) {
  const form = { client_id: client.client_id, scope, ...(scope.includes('read') && { resource: api }) }
  const { json, text } = await call(here, '/oauth/device_authorization', { client, form })
  if (!json['device_code']) throw new Error(text)
  return { deviceCode: String(json['device_code']), userCode: String(json['user_code']) }
}

async function enterCode(visitor: Visitor, userCode: string): Promise<Page> {
  const shown = await visitor.submit(await visitor.get('/device'), '/device', { user_code: userCode })
  return visitor.submit(shown, '/device', { confirm: 'yes' })
}

async function approve(world: World, visitor: Visitor, address: string, deviceCode: string): Promise<Loot> {
  await clickThrough(world, visitor, await visitor.get(address))
  return { ...noLoot, browsers: [visitor], deviceCodes: [deviceCode] }
}

/** Derives the marks of a page's stored interaction. */
function marksOf({ url }: Page): (string | Buffer)[] {
  const hash = sha256(String(new URL(url).pathname.split('/')[2]))
  return [hash, hash.toString('hex')]
}

export const places: Place[] = [...parkedPlaces, ...flights]

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { announcedAt, rules } from '../../src/keys/life-cycle.ts'
import * as keys from '../../src/stores/keys/keys.ts'
import { type CachingRelyingParty, createCachingRelyingParty } from '../support/caching-relying-party.ts'
import { type Fetch, type Fleet, startFleet } from '../support/processes.ts'
import { type Answer, expectNoFailures, type Reachable } from './journey.ts'
import { createKeyLedger, type KeyLedger } from './key-ledger.ts'
import { createTraffic, type Obtained, postLogoutRedirectUri, type Traffic } from './traffic.ts'

const email = 'ada@example.com'
const [signedApi, boundApi] = ['https://signed.example/', 'https://bound.example/']
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const
const byTheClock = ['RS256', 'ES256', 'cookie-key', 'dpop-nonce']
const [cacheSeconds, rotationSeconds] = [14, 27]
const rotations = Number(process.env['ROTATIONS'] ?? 2)
const patienceMs = 240_000
const breathMs = 150

let fleet: Fleet
let traffic: Traffic
let ledger: KeyLedger
const relyingParties: CachingRelyingParty[] = []
const failures: string[] = []
const done: Record<string, number> = {}
const startedAt = Date.now()
let isOver = false

beforeAll(async () => {
  fleet = await startFleet({
    KEY_ROTATION_SECONDS: String(rotationSeconds),
    JWKS_CACHE_SECONDS: String(cacheSeconds),
    ACCESS_TOKEN_TTL_SECONDS: '20',
    ID_TOKEN_TTL_SECONDS: '20',
  })
  ledger = createKeyLedger(fleet.operator.database.db, cacheSeconds * 1000)
  await fleet.createAccount(email)
  for (const identifier of [signedApi, boundApi]) {
    await fleet.operate('resource create', { identifier, scopes: { read: 'Read' }, token_format: 'jwt' })
  }
  const made = algorithms.map(async (alg) => {
    const metadata = { id_token_signed_response_alg: alg, post_logout_redirect_uris: [postLogoutRedirectUri] }
    return [alg, await fleet.createClient(metadata)] as const
  })
  const machine = await fleet.createClient({
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'read',
    resources: [signedApi, boundApi],
  })
  const server: Reachable = { issuer: fleet.issuer, fetch: alternating(0) }
  traffic = createTraffic({ server, clients: new Map(await Promise.all(made)), machine, email, obtain })
})
afterAll(async () => {
  if (ledger) console.log(`${await ledger.table(startedAt)}\n${summary()}`)
  await fleet?.stop()
})

function summary(): string {
  const asked = relyingParties.map(({ asked: { times, notToRemember } }) => `${times} (${notToRemember} no-store)`)
  const counts = Object.entries(done).map(([what, times]) => `${what} ${times}×`)
  return `done: ${counts.join(', ')}\nasked for the keys, by each of the relying parties: ${asked.join(', ')}`
}

/** Sends each request to the next process in turn. */
function alternating(first: number): Fetch {
  let count = first
  return (input, init) => (fleet.processes[count++ % fleet.processes.length] ?? fleet.processes[0]).fetch(input, init)
}

/** Repeats some work until the drill ends or the work fails. */
async function over(what: string, work: () => Promise<unknown>, pauseMs = breathMs): Promise<void> {
  while (!isOver) {
    try {
      await work()
      done[what] = (done[what] ?? 0) + 1
    } catch (error) {
      failures.push(`${((Date.now() - startedAt) / 1000).toFixed(1)} ${what}: ${error}`)
      return
    }
    await sleep(pauseMs)
  }
}

/** Requests a token, has all relying parties verify it, and records it. */
async function obtain(member: 'id_token' | 'access_token', ask: () => Promise<Answer>): Promise<Obtained> {
  const askedAt = Date.now()
  const answer = await ask()
  const answeredAt = Date.now()
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`)
  const jwt = String(answer.json[member])
  for (const relyingParty of relyingParties) await relyingParty.verify(jwt)
  return { jwt, answer, key: await ledger.enter(jwt, { askedAt, answeredAt }) }
}

const known = () => keys.list(fleet.operator.database.db)

/** Counts how often another key has taken over. */
async function rotated(purpose: string): Promise<number> {
  return (await known()).filter((key) => key.purpose === purpose && key.activeAt).length - 1
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patienceMs
  while (!(await isSo())) {
    if (failures.length > 0) throw new Error(failures.join('\n'))
    if (Date.now() > deadline) throw new Error(`it did not come to this: ${what}`)
    await sleep(100)
  }
}

describe('keys that rotate on schedule, with two processes and relying parties that cache keys', () => {
  test(`sign and verify through ${rotations} rotations: no token is rejected, and no session, page, nonce or hint is lost`, {
    timeout: patienceMs * 2,
  }, async () => {
    const load = [over('a browser came back', await traffic.comingBack(), breathMs / 2)]
    for (const alg of algorithms) load.push(over(`${alg} refreshed`, await traffic.refreshing(alg)))
    load.push(
      over(
        'a person signed in',
        () => traffic.signIn(algorithms[(done['a person signed in'] ?? 0) % 4] ?? 'RS256'),
        2_000,
      ),
      over('a machine got a JWT', traffic.askForMachine(signedApi)),
      over('a machine proved its key', await traffic.proving(boundApi)),
    )
    const recruiting = (async () => {
      for (let count = 0; count < 7; count++) {
        // Each starts at a different time, and with a different process.
        relyingParties.push(
          createCachingRelyingParty({ issuer: fleet.issuer, fetch: alternating(count), cacheSeconds }),
        )
        await sleep((cacheSeconds * 1000) / 7)
      }
    })()

    const requested: { kid: string; takesOverAt: Date }[] = []
    const request = async (purpose: string) => {
      const { items } = (await fleet.operate('keys rotate', { purpose })) as {
        items: { kid: string; takes_over_at: string; is_done: boolean }[]
      }
      for (const { kid, takes_over_at } of items) requested.push({ kid, takesOverAt: new Date(takes_over_at) })
    }

    for (let rotation = 1; rotation <= rotations; rotation++) {
      const before = await Promise.all(algorithms.map(traffic.signIn))
      const open = await Promise.all(algorithms.map(traffic.openSignIn))
      await until(`rotation ${rotation}`, async () =>
        (await Promise.all(byTheClock.map(rotated))).every((times) => times >= rotation),
      )
      for (const goOn of open) await goOn()
      for (const signedIn of before) {
        await traffic.signOut(signedIn)
        const { state } = (await known()).find(({ id }) => id === signedIn.key.id) ?? {}
        if (byTheClock.includes(signedIn.key.purpose)) expect(state).toBe('retired')
        done['signed out by a token of the previous key'] = (done['signed out by a token of the previous key'] ?? 0) + 1
      }
      if (rotation > 1) continue
      await request('EdDSA') // not everyone knows the next key yet, so the rotation has to wait
      const publishing = rules(fleet.config).get('PS256')?.rotation
      await until('a PS256 key that everybody knows, or has taken over', async () => {
        const next = (await known()).find((key) => key.purpose === 'PS256' && keys.isNext(key))
        return (publishing && next && announcedAt(next, publishing) < new Date()) || (await rotated('PS256')) > 1
      })
      await request('PS256')
    }
    await until('every key that signs has signed', async () =>
      (await known()).every(({ id, state, publicJwk }) => state !== 'active' || !publicJwk || ledger.kids().has(id)),
    )
    isOver = true
    await Promise.all([...load, recruiting])

    expect(failures).toEqual([])
    expectNoFailures(fleet)
    for (const { kid, takesOverAt } of requested) {
      const key = (await known()).find(({ id }) => id === kid)
      expect(key?.activeAt?.getTime()).toBeGreaterThanOrEqual(takesOverAt.getTime())
    }
  })
})

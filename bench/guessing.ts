import '../src/runtime.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createLimits } from '../src/authentication/attempts.ts'
import { connect, type Database } from '../src/database/connect.ts'
import { start } from '../src/database/embedded.ts'
import { migrate } from '../src/database/migrate.ts'
import { secret } from '../src/secret.ts'
import * as throttles from '../src/stores/throttles.ts'

// What somebody who guesses passwords gets in a day, and what the owner of an account sees meanwhile: the real limits and
// the real statements on a real PostgreSQL, with the clock moved on. `node bench/guessing.ts`, or `--sizes 1,10`.

const victim = 'owner@example.com'
const daySeconds = 86_400
const ownNetworks = { home: '203.0.113.9', office: '198.51.100.7' }

type Target = 'one account' | 'one network' | 'everybody'
type Scene = { name: string; target: Target; addresses: number; addressOf: (n: number) => string }
type Person = { name: string; address: string; isKnownBrowser: boolean; isKnownNetwork: boolean }
type Seen = { waits: number[]; refusals: number; tries: number }

const persons: Person[] = [
  {
    name: 'known browser, in the attacked network',
    address: ownNetworks.office,
    isKnownBrowser: true,
    isKnownNetwork: true,
  },
  { name: 'unknown browser, at home', address: ownNetworks.home, isKnownBrowser: false, isKnownNetwork: false },
  {
    name: 'unknown browser, attacked network, used before',
    address: ownNetworks.office,
    isKnownBrowser: false,
    isKnownNetwork: true,
  },
  {
    name: 'unknown browser, attacked network, never used',
    address: ownNetworks.office,
    isKnownBrowser: false,
    isKnownNetwork: false,
  },
]
const longestPatienceSeconds = 3_600 // of a person who tries as told

const ipv4 = (n: number) => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`
const ofOneSite = (n: number) => `2001:db8:1:${(n % 65_536).toString(16)}::${(n >> 16) + 1}`

function scenes(sizes: number[]): Scene[] {
  return sizes.flatMap((addresses) => [
    { name: 'IPv4', target: 'one account' as const, addresses, addressOf: ipv4 },
    { name: 'IPv6, one /48', target: 'one account' as const, addresses, addressOf: ofOneSite },
    ...(addresses === 1
      ? [{ name: 'inside', target: 'one network' as const, addresses, addressOf: () => ownNetworks.office }]
      : []),
    { name: 'IPv4', target: 'everybody' as const, addresses, addressOf: ipv4 },
  ])
}

type Clock = { startedAt: number; limitsOf: ReturnType<typeof createLimits>; database: Database }

/** One attempt, as src/authentication/sign-in.ts makes it. A success is given back. */
async function attempt(
  { database: { db }, limitsOf, startedAt }: Clock,
  seconds: number,
  who: { email: string; address: string; knownBrowser?: string; isRight?: boolean; isKnownNetwork?: boolean },
): Promise<{ isLookedAt: boolean; waitSeconds: number }> {
  const { open, blind, forgivable } = limitsOf({ knownBrowser: undefined, ...who })
  const ways = [...open, blind]
  const { way, waits } = await throttles.begin(db, ways, { at: new Date(startedAt + seconds * 1_000) })
  const isLookedAt = way !== undefined && (way < open.length || who.isKnownNetwork === true)
  if (who.isRight && isLookedAt) {
    const restored = (ways[way] ?? []).filter((rule) => !forgivable.includes(rule))
    await throttles.giveBack(db, { restored, forgotten: forgivable })
  }
  return { isLookedAt, waitSeconds: Math.max(1, Math.min(...waits.slice(0, open.length))) }
}

/** Somebody who signs in with the right password and tries again as often as told, up to an hour. */
async function seeAs(
  clock: Clock,
  person: Person,
  seconds: number,
): Promise<{ waited: number; refusals: number } | undefined> {
  const { address, isKnownBrowser, isKnownNetwork } = person
  let refusals = 0
  for (let waited = 0; waited <= longestPatienceSeconds; ) {
    const { isLookedAt, waitSeconds } = await attempt(clock, seconds + waited, {
      email: victim,
      address,
      isRight: true,
      isKnownNetwork,
      ...(isKnownBrowser && { knownBrowser: 'a browser' }),
    })
    if (isLookedAt) return { waited, refusals }
    refusals += 1
    waited += waitSeconds
    if (refusals > 20) break
  }
  return undefined
}

/** A day of an attacker who sends as often as anything is open. The times at which something may open are few. */
async function attack(
  clock: Clock,
  scene: Scene,
  stepSeconds: number,
): Promise<{ guesses: number; accounts: number; seen: Map<string, Seen> }> {
  let guesses = 0
  const accounts = scene.target === 'one account' ? 1 : 1_000
  const seen = new Map(persons.map(({ name }) => [name, { waits: [], refusals: 0, tries: 0 } as Seen]))
  const openAt = new Array<number>(scene.addresses).fill(0)
  let name = 0

  for (let seconds = 0; seconds < daySeconds; seconds += stepSeconds) {
    // First the attacker, always: everything there is at this moment is taken before the owner comes.
    for (let n = 0; n < scene.addresses; n++) {
      if ((openAt[n] ?? 0) > seconds) continue
      for (;;) {
        const email = scene.target === 'one account' ? victim : `person${name++ % accounts}@example.com`
        const { isLookedAt, waitSeconds } = await attempt(clock, seconds, { email, address: scene.addressOf(n) })
        if (isLookedAt) guesses += 1
        else {
          openAt[n] = seconds + waitSeconds
          break
        }
      }
    }
    if (seconds % 14_400 === 0 && seconds > 0) {
      for (const person of persons) {
        const outcome = await seeAs(clock, person, seconds + 1)
        const record = seen.get(person.name)
        if (!record) continue
        record.tries += 1
        record.refusals += outcome?.refusals ?? 0
        record.waits.push(outcome?.waited ?? Number.POSITIVE_INFINITY)
      }
    }
  }
  return { guesses, accounts, seen }
}

const shown = (seconds: number) => (Number.isFinite(seconds) ? `${seconds} s` : 'not within an hour')

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { sizes: { type: 'string', default: '1,10,1000' } } })
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-guessing-'))
  const embedded = process.env['DATABASE_URL'] ? undefined : await start({ dataDir, log: () => {} })
  const database = connect({
    url: process.env['DATABASE_URL'] ?? embedded?.url ?? '',
    poolSize: 2,
    preparedStatements: true,
    onError: () => {},
  })
  try {
    await migrate(database.db)
    let startedAt = Date.now()
    for (const scene of scenes(values.sizes.split(',').map(Number))) {
      startedAt += 10 * daySeconds * 1_000 // nothing is left of the scene before
      const clock = { startedAt, database, limitsOf: createLimits(secret(Buffer.alloc(32, 7))) }
      const stepSeconds = scene.addresses > 1_000 ? 3_600 : scene.addresses > 10 ? 600 : 30
      const { guesses, accounts, seen } = await attack(clock, scene, stepSeconds)
      const each = Math.round((guesses / accounts) * 10) / 10
      console.log(
        `\n${scene.addresses} addresses (${scene.name}) against ${scene.target}: ${guesses} guesses a day, ${each} for each account`,
      )
      for (const [name, { waits, refusals, tries }] of seen) {
        const sorted = waits.toSorted((a, b) => a - b)
        const [median, worst] = [sorted[Math.floor(sorted.length / 2)] ?? 0, sorted.at(-1) ?? 0]
        console.log(
          `  ${name.padEnd(48)} median ${shown(median)}, worst ${shown(worst)}, ${refusals} refusals in ${tries} sign-ins`,
        )
      }
    }
  } finally {
    await database.close()
    await embedded?.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

await main()

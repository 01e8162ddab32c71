import '../src/runtime.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createLimits } from '../src/authentication/attempts.ts'
import { connect, type Database } from '../src/database/connect.ts'
import { start } from '../src/database/embedded/index.ts'
import { migrate } from '../src/database/migrate.ts'
import { secret } from '../src/secret.ts'
import * as throttles from '../src/stores/operations/throttles.ts'

// Simulates how many passwords an attacker can try in a day, and how long the owner of an account waits during the
// attack. It uses the real limits and statements on a real PostgreSQL, with a simulated clock. `node bench/guessing.ts
// [--sizes 1,10]`

const victim = 'owner@example.com'
const daySeconds = 86_400
const ownNetworks = { home: '203.0.113.9', office: '198.51.100.7' }

type Target = 'one account' | 'one network' | 'everybody' | 'one account, from inside'
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
const longestPatienceSeconds = 3_600 // how long a person keeps trying when told to wait

const ipv4 = (n: number) => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`
const ofOneSite = (n: number) => `2001:db8:1:${(n % 65_536).toString(16)}::${(n >> 16) + 1}`

function scenes(sizes: number[]): Scene[] {
  return sizes.flatMap((addresses) => [
    { name: 'IPv4', target: 'one account' as const, addresses, addressOf: ipv4 },
    { name: 'IPv6, one /48', target: 'one account' as const, addresses, addressOf: ofOneSite },
    ...(addresses === 1
      ? (['one network', 'one account, from inside'] as const).map((target) => ({
          name: 'inside',
          target,
          addresses,
          addressOf: () => ownNetworks.office,
        }))
      : []),
    ...(addresses > 1_000 ? [] : [{ name: 'IPv4', target: 'everybody' as const, addresses, addressOf: ipv4 }]),
  ])
}

type Clock = { startedAt: number; limitsOf: ReturnType<typeof createLimits>; database: Database }

/** Makes one attempt, as src/authentication/sign-in.ts does. A success is given back. */
async function attempt(
  { database: { db }, limitsOf, startedAt }: Clock,
  seconds: number,
  who: { email: string; address: string; knownBrowser?: string; isRight?: boolean; isKnownNetwork?: boolean },
): Promise<{ isLookedAt: boolean; waitSeconds: number }> {
  const { open, blind } = limitsOf({ knownBrowser: undefined, ...who })
  const ways = [...open, blind]
  const { way, waits } = await throttles.begin(db, ways, { at: new Date(startedAt + seconds * 1_000) })
  const isLookedAt = way !== undefined && (way < open.length || who.isKnownNetwork === true)
  if (who.isRight && isLookedAt) {
    // Nothing more is given back: what a success forgives would help the next person measured.
    await throttles.giveBack(db, { restored: ways[way] ?? [] })
  }
  return { isLookedAt, waitSeconds: Math.max(1, Math.min(...waits.slice(0, open.length))) }
}

/** Uses up everything that is open at this moment. */
type Drain = (seconds: number) => Promise<void>

/** Signs in with the right password, and tries again when told to, for an hour, each time right after the attacker. */
async function seeAs(clock: Clock, person: Person, { from, drain }: { from: number; drain: Drain }) {
  const { address, isKnownBrowser, isKnownNetwork } = person
  let refusals = 0
  for (let waited = 0; waited <= longestPatienceSeconds; ) {
    await drain(from + waited)
    const { isLookedAt, waitSeconds } = await attempt(clock, from + waited, {
      email: victim,
      address,
      isRight: true,
      isKnownNetwork,
      ...(isKnownBrowser && { knownBrowser: 'a browser' }),
    })
    if (isLookedAt) return { waited, refusals }
    refusals += 1
    waited += waitSeconds
  }
  return { waited: Number.POSITIVE_INFINITY, refusals }
}

/** Simulates a day of an attacker who sends whenever anything is open, and the sign-ins of people on that day. */
async function attack(clock: Clock, scene: Scene, stepSeconds: number) {
  const isAtVictim = scene.target.startsWith('one account')
  const accounts = isAtVictim ? 1 : 1_000
  const seen = new Map<string, Seen>(persons.map(({ name }) => [name, { waits: [], refusals: 0, tries: 0 }]))
  const openAt = new Array<number>(scene.addresses).fill(0)
  let guesses = 0
  let next = 0

  const drain: Drain = async (seconds) => {
    for (let n = 0; n < scene.addresses; n++) {
      while ((openAt[n] ?? 0) <= seconds) {
        const email = isAtVictim ? victim : `person${next++ % accounts}@example.com`
        const { isLookedAt, waitSeconds } = await attempt(clock, seconds, { email, address: scene.addressOf(n) })
        if (isLookedAt) guesses += 1
        else openAt[n] = seconds + waitSeconds
      }
    }
  }
  for (let seconds = 0; seconds < daySeconds; seconds += stepSeconds) {
    await drain(seconds)
    if (seconds % (daySeconds / 4) !== 0) continue
    for (const person of persons) {
      const { waited, refusals } = await seeAs(clock, person, { from: seconds + 1, drain })
      const record = seen.get(person.name)
      record?.waits.push(waited)
      if (record) Object.assign(record, { refusals: record.refusals + refusals, tries: record.tries + 1 })
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
      startedAt += 10 * daySeconds * 1_000 // nothing is left of the previous scene
      const clock = { startedAt, database, limitsOf: createLimits(secret(Buffer.alloc(32, 7))) }
      const stepSeconds = scene.addresses > 1_000 ? 7_200 : scene.addresses > 10 ? 600 : 30
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

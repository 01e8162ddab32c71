// Measures how long introspection takes while people sign in as fast as passwords can be checked.
// `node bench/storm.ts [--rounds 3] [--seconds 10]`
import '../src/runtime.ts'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { start } from '../src/database/embedded/index.ts'
import { type Connection, open } from './connection.ts'
import { operations, type Send } from './operations.ts'
import { startPostern } from './targets.ts'

const apis = 8 // connections of APIs that introspect, each ten times a second
const everyMs = 100

type Latencies = { requests: number; p50Ms: number; p99Ms: number }

/** Introspects at a steady rate, whatever the answers take, and returns how long they took. */
async function introspect(send: Send, connections: Connection[], seconds: number): Promise<Latencies> {
  const durations: number[] = []
  const endsAt = performance.now() + seconds * 1000
  await Promise.all(
    connections.map(async (connection, number) => {
      let due = performance.now() + (everyMs / apis) * number
      for (; due < endsAt; due += everyMs) {
        await sleep(Math.max(0, due - performance.now()))
        await send(connection, number)
        durations.push(performance.now() - due) // from when it was due: a late answer delays the next request
      }
    }),
  )
  durations.sort((one, other) => one - other)
  const at = (share: number) => durations[Math.floor(durations.length * share)] ?? Number.NaN
  return { requests: durations.length, p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** Starts a crowd in a process of its own, which signs in until it is ended. */
function startCrowd(port: number): { stop(): Promise<number> } {
  const crowd = fork(join(import.meta.dirname, 'storm-crowd.ts'), [String(port)])
  let attempts = 0
  crowd.on('message', (count) => {
    attempts = Number(count)
  })
  const ended = once(crowd, 'exit')
  return {
    async stop() {
      if (crowd.exitCode !== null) throw new Error('The crowd ended by itself.')
      crowd.kill()
      await ended
      return attempts
    },
  }
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '10' } },
})
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
const dataDir = await mkdtemp(join(tmpdir(), 'postern-storm-'))
const embedded = await start({ dataDir, log: () => {} })
// The crowd has an address for each person, so that the limits of one network do not end the storm.
const settings = { TRUSTED_PROXIES: '127.0.0.1' }
const target = await startPostern({ name: 'Postern', server: embedded.url, alg: 'ES256', logDir: dataDir, settings })
try {
  const connections = await Promise.all(Array.from({ length: apis }, () => open(target.port)))
  const introspection = operations['introspection']
  if (!introspection) throw new Error('There is no introspection to measure.')
  const codes = await target.mint(introspection.codes({ connections: apis, requests: 0 }))
  const send = await introspection.prepare({ server: target, connections, codes })
  await introspect(send, connections, 3) // warms up
  for (let round = 1; round <= rounds; round++) {
    const idle = await introspect(send, connections, seconds)
    const { stop } = startCrowd(target.port)
    await sleep(2_000) // until the queue of passwords is full
    const storm = await introspect(send, connections, seconds)
    const attempts = await stop()
    const times = (storm.p99Ms / idle.p99Ms).toFixed(2)
    process.stdout.write(`round ${round}: ${line('idle', idle)}; ${line('storm', storm)}; p99 ${times} times; `)
    process.stdout.write(`${(attempts / (seconds + 2)).toFixed(0)} sign-ins a second\n`)
    await sleep(1_000)
  }
  for (const connection of connections) connection.close()
} finally {
  await target.stop()
  await embedded.stop()
  await rm(dataDir, { recursive: true, force: true })
}

function line(name: string, { requests, p50Ms, p99Ms }: Latencies): string {
  return `${name} ${requests} requests, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`
}

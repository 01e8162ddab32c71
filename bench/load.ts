// The load generator, which run.ts starts as a process of its own.
import '../src/runtime.ts'
import { answer } from './ask.ts'
import { type Connection, open } from './connection.ts'
import { operations, type Send, type Server } from './operations.ts'

export type Job = { operation: string; server: Server; codes: string[]; connections: number }
export type Bounds = { seconds: number; requests: number }
export type Slice = { requests: number; perSecond: number; p50Ms: number; p99Ms: number }

const ready: { send?: Send; connections: Connection[] } = { connections: [] }

async function prepare({ operation, server, codes, connections: count }: Job): Promise<void> {
  for (const connection of ready.connections) connection.close()
  ready.connections = await Promise.all(Array.from({ length: count }, () => open(server.port)))
  const found = operations[operation]
  if (!found) throw new Error(`unknown operation ${operation}`)
  ready.send = await found.prepare({ server, connections: ready.connections, codes })
}

async function measure({ seconds, requests }: Bounds): Promise<Slice> {
  const { send, connections } = ready
  if (!send) throw new Error('nothing is prepared')
  const durations: number[] = []
  const startedAt = performance.now()
  const deadline = startedAt + seconds * 1000
  let begun = 0
  await Promise.all(
    connections.map(async (connection, number) => {
      let before = performance.now()
      while (before < deadline && begun < requests) {
        begun += 1
        await send(connection, number)
        const after = performance.now()
        durations.push(after - before)
        before = after
      }
    }),
  )
  const elapsedMs = performance.now() - startedAt
  durations.sort((a, b) => a - b)
  const percentile = (share: number) => durations[Math.min(durations.length - 1, Math.floor(durations.length * share))]
  return {
    requests: durations.length,
    perSecond: (durations.length / elapsedMs) * 1000,
    p50Ms: percentile(0.5) ?? Number.NaN,
    p99Ms: percentile(0.99) ?? Number.NaN,
  }
}

answer<{ prepare?: Job; measure?: Bounds }>(async (question) => {
  if (question.measure) return measure(question.measure)
  if (question.prepare) await prepare(question.prepare)
  return {}
})

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { inherited } from '../support/inherited.ts'
import { environmentFor } from '../support/postern.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const longestStopMs = 20_000 // an orchestrator kills after this time

let database: TestDatabase
let env: Record<string, string>
let encryptionKeys: string | undefined
let child: ChildProcess | undefined

beforeAll(async () => {
  database = await createDatabase()
  return () => database.drop()
})
afterEach(async () => {
  if (child && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
})

async function start(settings: Record<string, string> = {}): Promise<ChildProcess> {
  const fresh = await environmentFor(database.url)
  encryptionKeys ??= fresh['ENCRYPTION_KEYS'] // the first start encrypts secrets with them
  env = { ...fresh, ENCRYPTION_KEYS: String(encryptionKeys), ...settings }
  const started = spawn(process.execPath, [main], { env: { ...inherited, ...env } })
  child = started
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      output += chunk
      if (output.includes('is ready at')) resolve()
    }
    started.stdout.on('data', look)
    started.stderr.on('data', look)
    started.once('exit', () => reject(new Error(output)))
  })
  return started
}

type Answer = { status: number; isClosing: boolean } | { failed: string }

/** Sends one request, on its own connection or on one that is kept open. */
function ask(path: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve) => {
    const fail = ({ message }: Error) => resolve({ failed: message })
    request(`${env['ISSUER']}${path}`, { agent: agent ?? false }, (response) => {
      response.resume()
      response.once('error', fail)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, isClosing: response.headers['connection'] === 'close' }),
      )
    })
      .once('error', fail)
      .end()
  })
}

async function stopsWithin(process: ChildProcess): Promise<number> {
  const startedAt = performance.now()
  if (process.exitCode === null) await once(process, 'exit')
  expect(process.exitCode).toBe(0)
  return performance.now() - startedAt
}

describe.each(['SIGTERM', 'SIGINT'] as const)('a server that gets %s', (signal) => {
  test('first becomes unready, then answers every request that it has accepted, and ends', async () => {
    const server = await start({ SHUTDOWN_DELAY_SECONDS: '1' })
    const agent = new Agent({ keepAlive: true })
    expect(await ask('/health/ready', agent)).toEqual({ status: 200, isClosing: false })
    server.kill(signal)
    await sleep(300)
    expect(await ask('/health/ready', agent)).toEqual({ status: 503, isClosing: true })
    expect(await ask('/health/live', agent)).toMatchObject({ status: 200 })
    expect(await ask('/oauth/jwks', agent)).toEqual({ status: 200, isClosing: true }) // as a balancer may be late
    expect(await stopsWithin(server)).toBeLessThan(longestStopMs)
    expect(await ask('/health/live')).toMatchObject({ failed: expect.stringContaining('ECONNREFUSED') })
  })

  test('fails no accepted request under load, and leaves no transaction open', async () => {
    const server = await start({ SHUTDOWN_DELAY_SECONDS: '1' })
    const agent = new Agent({ keepAlive: true, maxSockets: 16 })
    const answers: { answer: Answer; wasBefore: boolean }[] = []
    let isRunning = true
    let isSignalled = false
    const load = Array.from({ length: 16 }, async (_, n) => {
      while (isRunning) {
        const wasBefore = !isSignalled
        const path = n % 2 ? '/oauth/authorize?client_id=nobody' : '/.well-known/openid-configuration'
        answers.push({ answer: await ask(path, n % 4 ? agent : undefined), wasBefore })
      }
    })
    await sleep(500)
    isSignalled = true
    server.kill(signal)
    await stopsWithin(server)
    isRunning = false
    await Promise.all(load)
    agent.destroy()

    expect(answers.filter(({ answer, wasBefore }) => 'failed' in answer && wasBefore)).toEqual([])
    const statuses = answers.flatMap(({ answer }) => ('status' in answer ? [answer.status] : []))
    expect(statuses.filter((status) => ![200, 400].includes(status))).toEqual([])
    expect(answers.filter(({ answer, wasBefore }) => 'status' in answer && wasBefore).length).toBeGreaterThan(16)
    expect(answers.filter(({ answer, wasBefore }) => 'status' in answer && !wasBefore).length).toBeGreaterThan(16)
    expect(
      await database.query(
        `select count(*)::int as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
      ),
    ).toEqual([{ n: 0 }])
  })

  test('finishes a slow request', async () => {
    const server = await start()
    // A form that arrives slowly: one half before the signal, the other half after it.
    const body = 'grant_type=client_credentials&client_id=nobody'
    const answer = new Promise<number>((resolve, reject) => {
      const sent = request(
        `${env['ISSUER']}/oauth/token`,
        {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length },
        },
        (response) => {
          response.resume()
          response.on('end', () => resolve(response.statusCode ?? 0))
        },
      )
      sent.once('error', reject)
      sent.write(body.slice(0, 10))
      setTimeout(() => server.kill(signal), 300)
      setTimeout(() => sent.end(body.slice(10)), 900)
    })
    expect(await answer).toBe(401)
    expect(await stopsWithin(server)).toBeLessThan(longestStopMs)
  })
})

test('a request that never ends does not prevent the server from stopping', async () => {
  const server = await start({ SHUTDOWN_TIMEOUT_SECONDS: '1' })
  const sent = request(`${env['ISSUER']}/oauth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': 1_000 },
  })
  const closed = once(sent, 'error')
  sent.write('grant_type=')
  await sleep(300)
  server.kill('SIGTERM')
  expect(await stopsWithin(server)).toBeLessThan(longestStopMs)
  await closed
})

test('a server without its database is not ready, but stays alive', async () => {
  const other = await createDatabase()
  const server = await start({ DATABASE_URL: other.url })
  expect(await ask('/health/ready')).toMatchObject({ status: 200 })
  await database.query(`drop database ${new URL(other.url).pathname.slice(1)} with (force)`)
  expect(await ask('/health/ready')).toMatchObject({ status: 503 })
  expect(await ask('/health/live')).toMatchObject({ status: 200 })
  server.kill('SIGTERM')
  expect(await stopsWithin(server)).toBeLessThan(longestStopMs)
})

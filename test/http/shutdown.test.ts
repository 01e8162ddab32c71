import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { inherited } from '../support/inherited.ts'
import { environmentFor } from '../support/postern.ts'
import { heldSeconds } from './held-pause.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const heldPause = join(import.meta.dirname, 'held-pause.ts')

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
  // A server that had to be forced to stop would not stop at all.
  const patient = { SHUTDOWN_TIMEOUT_SECONDS: '86400' }
  env = { ...fresh, ...patient, ENCRYPTION_KEYS: String(encryptionKeys), ...settings }
  const started = spawn(process.execPath, ['--import', heldPause, main], {
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  child = started
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      output += chunk
      if (output.includes('is ready at')) resolve()
    }
    started.stdout?.on('data', look)
    started.stderr?.on('data', look)
    started.once('exit', () => reject(new Error(output)))
  })
  return started
}

type Answer = { status: number; isClosing: boolean } | { failed: string }

/** Sends one request, on its own connection or on one that is kept open. */
function ask(path: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve) => {
    request(`${env['ISSUER']}${path}`, { agent: agent ?? false }, (response) => resolve(read(response)))
      .once('error', ({ message }) => resolve({ failed: message }))
      .end()
  })
}

async function read(response: IncomingMessage): Promise<Answer> {
  try {
    for await (const _ of response);
    return { status: response.statusCode ?? 0, isClosing: response.headers['connection'] === 'close' }
  } catch (error) {
    return { failed: String(error) }
  }
}

/** Waits for the end of a process, which must be its own. */
async function stops(process: ChildProcess): Promise<void> {
  if (process.exitCode === null) await once(process, 'exit')
  expect(process.exitCode).toBe(0)
}

/** Begins a request, and waits until the server has its head and waits for its body. */
async function beginForm(length: number) {
  const sent = request(`${env['ISSUER']}/oauth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': length, expect: '100-continue' },
  })
  const answer = new Promise<Answer>((resolve) => {
    sent.once('error', ({ message }) => resolve({ failed: message }))
    sent.once('response', (response) => resolve(read(response)))
  })
  sent.flushHeaders()
  await once(sent, 'continue')
  return { sent, answer }
}

const becomesUnready = () => eventually(async () => expect(await ask('/health/ready')).toMatchObject({ status: 503 }))
const refusesConnections = () =>
  eventually(async () =>
    expect(await ask('/health/live')).toMatchObject({ failed: expect.stringContaining('ECONNREFUSED') }),
  )

describe.each(['SIGTERM', 'SIGINT'] as const)('a server that gets %s', (signal) => {
  const held = { SHUTDOWN_DELAY_SECONDS: String(heldSeconds) }

  test('first becomes unready, then answers every request that it has accepted, and ends', async () => {
    const server = await start(held)
    const agent = new Agent({ keepAlive: true })
    expect(await ask('/health/ready', agent)).toEqual({ status: 200, isClosing: false })
    server.kill(signal)
    await becomesUnready()
    expect(await ask('/health/ready', agent)).toEqual({ status: 503, isClosing: true })
    expect(await ask('/health/live', agent)).toMatchObject({ status: 200 })
    expect(await ask('/oauth/jwks', agent)).toEqual({ status: 200, isClosing: true }) // as a balancer may be late
    server.send('the pause is over')
    await stops(server)
    expect(await ask('/health/live')).toMatchObject({ failed: expect.stringContaining('ECONNREFUSED') })
  })

  test('fails no accepted request under load, and leaves no session open', async () => {
    const server = await start(held)
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
    const answered = (when: 'before' | 'after') =>
      answers.filter(({ answer, wasBefore }) => 'status' in answer && wasBefore === (when === 'before')).length
    await eventually(() => expect(answered('before')).toBeGreaterThan(16))
    isSignalled = true
    server.kill(signal)
    await eventually(() => expect(answered('after')).toBeGreaterThan(16))
    server.send('the pause is over')
    await stops(server)
    isRunning = false
    await Promise.all(load)
    agent.destroy()

    expect(answers.filter(({ answer, wasBefore }) => 'failed' in answer && wasBefore)).toEqual([])
    const statuses = answers.flatMap(({ answer }) => ('status' in answer ? [answer.status] : []))
    expect(statuses.filter((status) => ![200, 400].includes(status))).toEqual([])
    await eventually(async () => expect((await sessions()).open).toBe(0))
    expect((await sessions()).abandoned).toBe(0)
  })

  test('finishes a slow request', async () => {
    const server = await start()
    const body = 'grant_type=client_credentials&client_id=nobody'
    const { sent, answer } = await beginForm(body.length)
    sent.write(body.slice(0, 10))
    server.kill(signal)
    await refusesConnections()
    sent.end(body.slice(10))
    expect(await answer).toEqual({ status: 401, isClosing: true })
    await stops(server)
  })
})

/** Counts the sessions of the database: those that are open, and those whose client vanished instead of ending them. */
async function sessions(): Promise<{ open: number; abandoned: number }> {
  const [row] = await database.query(
    `select (select count(*)::int from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()) as open,
       sessions_abandoned::int as abandoned from pg_stat_database where datname = current_database()`,
  )
  return { open: Number(row?.['open']), abandoned: Number(row?.['abandoned']) }
}

test('a request that never ends does not prevent the server from stopping', async () => {
  const server = await start({ SHUTDOWN_TIMEOUT_SECONDS: '1' })
  const { sent, answer } = await beginForm(1_000)
  sent.write('grant_type=')
  server.kill('SIGTERM')
  await stops(server)
  expect(await answer).toHaveProperty('failed') // it was not even answered that it took too long
})

test('a server without its database is not ready, but stays alive', async () => {
  const other = await createDatabase()
  const server = await start({ DATABASE_URL: other.url })
  expect(await ask('/health/ready')).toMatchObject({ status: 200 })
  await database.query(`drop database ${new URL(other.url).pathname.slice(1)} with (force)`)
  expect(await ask('/health/ready')).toMatchObject({ status: 503 })
  expect(await ask('/health/live')).toMatchObject({ status: 200 })
  server.kill('SIGTERM')
  await stops(server)
})

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assemble, type Postern } from '../../src/assemble/index.ts'
import { type Config, parse } from '../../src/config/index.ts'
import { createLogger } from '../../src/log/index.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { createDatabase, type TestDatabase } from './database.ts'
import { inherited } from './inherited.ts'
import { operateOn } from './operator.ts'
import { createClient, environmentFor, freePort, password } from './postern.ts'

export type Fetch = typeof globalThis.fetch

/** A server in a process of its own. */
export type ServerProcess = {
  issuer: string
  port: number
  /** The lines that it wrote to standard output and error, over all its restarts. */
  output: string[]
  /** Sends a request to this process. The host in its URL only sets the Host header. */
  fetch: Fetch
  /** Resolves when it can serve. */
  start(): Promise<void>
  /** Stops it as an operator does: SIGTERM, and wait. Returns the exit code. */
  stop(): Promise<number | null>
  /** Ends it as a crash does: SIGKILL. */
  kill(): Promise<void>
  /** Makes it hang: SIGSTOP, until SIGCONT. */
  pause(): void
  resume(): void
  /** The name of its connections in PostgreSQL. */
  applicationName: string
}

/** Several server processes of one issuer on one database, and an operator besides. */
export type Fleet = {
  issuer: string
  env: Record<string, string>
  config: Config
  database: TestDatabase
  processes: [ServerProcess, ServerProcess, ...ServerProcess[]]
  /** The base of a command line: the same database, but no port. */
  operator: Postern
  operate(command: string, input: Record<string, unknown>): Promise<Record<string, unknown>>
  createAccount(email: string): Promise<string>
  createClient(metadata?: Record<string, unknown>): Promise<ClientMetadata>
  /** Stops every process and starts it again. */
  restart(): Promise<void>
  stop(): Promise<void>
}

const repository = join(import.meta.dirname, '..', '..')
const readyWithinMs = 120_000

/**
 * Starts that many processes of one deployment. Nothing listens at the issuer itself, as behind a load balancer.
 * `databaseUrl` may change the address of the database for each of them.
 */
export async function startFleet(
  settings: Record<string, string> = {},
  size = 2,
  databaseUrl: (url: string, index: number) => string = (url) => url,
): Promise<Fleet> {
  const database = await createDatabase()
  const { PORT: _, ...shared } = await environmentFor(database.url)
  const env = { ...shared, LOG_LEVEL: 'warn', ...settings }
  const config = parse({ ...env, PORT: '0' })
  const ports = await Promise.all(Array.from({ length: size }, freePort))
  const processes = ports.map((port, index) =>
    serverProcess({ ...env, PORT: String(port), DATABASE_URL: databaseUrl(database.url, index) }, port, config.ISSUER),
  )
  // One after the other, because the first creates the keys that the others load.
  for (const process of processes) await process.start()
  const operator = await assemble(config, { log: createLogger('silent') })

  async function operate(command: string, input: Record<string, unknown>): Promise<Record<string, unknown>> {
    return (await operateOn(operator, command, input)) as Record<string, unknown>
  }

  return {
    issuer: config.ISSUER,
    env,
    config,
    database,
    processes: processes as [ServerProcess, ServerProcess, ...ServerProcess[]],
    operator,
    operate,
    createAccount: async (email) =>
      String((await operate('account create', { email, email_verified: true, password }))['id']),
    createClient: (metadata = {}) => createClient(operator, metadata),
    async restart() {
      await Promise.all(processes.map((process) => process.stop()))
      await Promise.all(processes.map((process) => process.start()))
    },
    async stop() {
      await Promise.all(processes.map((process) => process.stop()))
      await operator.close()
      await database.drop()
    },
  }
}

export function serverProcess(shared: Record<string, string>, port: number, issuer: string): ServerProcess {
  const applicationName = `postern-${port}`
  const databaseUrl = new URL(String(shared['DATABASE_URL']))
  databaseUrl.searchParams.set('application_name', applicationName)
  const env = { ...shared, DATABASE_URL: databaseUrl.href }
  const output: string[] = []
  let child: ChildProcess | undefined
  let agent = new Agent()
  const through: Fetch = (input, init) => sendThrough(port, agent, new Request(input, init))
  const killAtExit = () => child?.kill('SIGKILL')

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    process.off('exit', killAtExit)
    agent.destroy()
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill(signal)
    const [code] = await exited
    return code
  }

  return {
    issuer,
    port,
    output,
    fetch: through,
    async start() {
      agent = new Agent({ keepAlive: true, maxSockets: 64 })
      const started = spawn(process.execPath, ['src/main.ts'], { cwd: repository, env: { ...inherited, ...env } })
      child = started
      process.on('exit', killAtExit)
      for (const stream of [started.stdout, started.stderr]) collectLines(stream, output)
      const deadline = Date.now() + readyWithinMs
      for (;;) {
        const ready = await through(`${issuer}/health/ready`).catch(() => undefined)
        if (ready?.ok) return
        if (started.exitCode !== null || Date.now() > deadline) {
          throw new Error(`the server did not start:\n${output.join('\n')}`)
        }
        await sleep(25)
      }
    },
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL')
    },
    pause() {
      child?.kill('SIGSTOP')
    },
    resume() {
      child?.kill('SIGCONT')
    },
    applicationName,
  }
}

/** Returns a `fetch` that sends every request to a server of this machine. The host in its URL only sets the Host header. */
export function fetchAt(port: number): Fetch {
  const agent = new Agent()
  return (input, init) => sendThrough(port, agent, new Request(input, init))
}

function collectLines(stream: NodeJS.ReadableStream, lines: string[]): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const parts = `${rest}${chunk}`.split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
}

// `fetch` does not let its caller choose the address of a host. This does, and otherwise does only what the tests need.
async function sendThrough(port: number, agent: Agent, request: Request): Promise<Response> {
  const { host, pathname, search } = new URL(request.url)
  const body = request.body ? Buffer.from(await request.arrayBuffer()) : undefined
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        host: '127.0.0.1',
        port,
        agent,
        method: request.method,
        path: `${pathname}${search}`,
        headers: { ...Object.fromEntries(request.headers), host, ...(body && { 'content-length': body.length }) },
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const headers = new Headers()
          for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
            headers.append(String(incoming.rawHeaders[index]), String(incoming.rawHeaders[index + 1]))
          }
          const status = incoming.statusCode ?? 0
          resolve(new Response([204, 304].includes(status) ? null : Buffer.concat(chunks), { status, headers }))
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

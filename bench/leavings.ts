// Measures what strangers on one machine can make the server store: node bench/leavings.ts [--seconds 5] [--only par]
import '../src/runtime.ts'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open as openFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { pino } from 'pino'
import { assemble } from '../src/assemble/index.ts'
import { parse } from '../src/config/index.ts'
import { start as startDatabase } from '../src/database/embedded/index.ts'
import { registerClient } from '../src/oidc/registration/by-administrator.ts'
import { type Connection, open } from './connection.ts'

const connections = 16
const day = 86_400
const warmUpRequests = 20
const refusedWithinSeconds = 150 // longer than an hour's allowance lasts at full speed

type Request = { method?: string; path: string; headers?: Record<string, string>; body?: string | undefined }
type Kind = {
  name: string
  request(turn: number): Request | Promise<Request>
  answered?(turn: number, body: string): void
}
type Size = { bytes: number; rows: number }
type Phase = Size & { seconds: number; requests: number; refused: number }

const client = { client_id: 'public-app', redirect_uri: 'https://rp.example/cb' }
const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbvhwGZSjQkE'
const text = (length: number) => randomBytes(length).toString('base64url').slice(0, length)

const authorization = (more: Record<string, string>) =>
  new URLSearchParams({
    ...client,
    response_type: 'code',
    scope: 'openid',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...more,
  }).toString()
const form = (path: string, fields: string, headers: Record<string, string> = {}): Request => ({
  method: 'POST',
  path,
  body: fields,
  headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json', ...headers },
})
const page = (path: string): Request => ({ path, headers: { accept: 'text/html' } })
const device = (agent: number, more: Record<string, string> = {}) =>
  form(
    '/oauth/device_authorization',
    new URLSearchParams({ client_id: client.client_id, scope: 'openid', ...more }).toString(),
    { 'user-agent': text(agent) },
  )
const atBounds = () => ({
  state: text(2_000),
  nonce: text(2_000),
  login_hint: text(300),
  ui_locales: 'en '.repeat(80).trim(),
  claims: JSON.stringify({ id_token: { email: { value: text(1_800) } } }),
})

/** Creates the kinds of requests, each as large as the attacks made it and as large as it may be. */
function kinds(issuer: string): Kind[] {
  const registered: { uri: string; token: string; body: object }[] = []
  const register = async () => {
    const metadata = { client_name: 'Nobody', redirect_uris: ['https://nobody.example/cb'] }
    const response = await fetch(`${issuer}/oauth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': `198.51.100.${registered.length + 1}` },
      body: JSON.stringify(metadata),
    })
    const made = (await response.json()) as Record<string, string>
    registered.push({
      uri: new URL(String(made['registration_client_uri'])).pathname,
      token: String(made['registration_access_token']),
      body: { ...metadata, client_id: made['client_id'] },
    })
  }
  return [
    { name: 'PAR, 50 kB of state', request: () => form('/oauth/par', authorization({ state: text(50_000) })) },
    { name: 'PAR, all at its bound', request: () => form('/oauth/par', authorization(atBounds())) },
    { name: 'device_authorization, 12 kB User-Agent', request: () => device(12_000) },
    { name: 'device_authorization, all at its bound', request: () => device(12_000, atBounds()) },
    {
      name: 'GET authorize, 14 kB of state',
      request: () => page(`/oauth/authorize?${authorization({ state: text(14_000) })}`),
    },
    { name: 'GET authorize, all at its bound', request: () => page(`/oauth/authorize?${authorization(atBounds())}`) },
    {
      name: 'GET authorize, ordinary',
      request: () => page(`/oauth/authorize?${authorization({ state: text(43), nonce: text(43) })}`),
    },
    { name: 'GET /oauth/logout', request: () => page('/oauth/logout') },
    { name: 'GET /device', request: () => page('/device') },
    {
      name: 'PUT /oauth/register/:id, self-registered',
      async request(turn) {
        while (registered.length <= turn) await register()
        const { uri, token, body } = registered[turn] ?? { uri: '', token: '', body: {} }
        const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
        return { method: 'PUT', path: uri, headers, body: JSON.stringify(body) }
      },
      answered(turn, body) {
        const { registration_access_token: token } = JSON.parse(body) as Record<string, string>
        const mine = registered[turn]
        if (mine && token) mine.token = token
      },
    },
  ]
}

function wire({ method = 'GET', path, headers = {}, body = '' }: Request, host: string, address: string): string {
  const all = { host, 'x-forwarded-for': address, ...headers, ...(body && { 'content-length': String(body.length) }) }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`
}

async function run(
  kind: Kind,
  { port, address, seconds, untilRefused }: { port: number; address: string; seconds: number; untilRefused: boolean },
) {
  const opened: Connection[] = await Promise.all(Array.from({ length: connections }, () => open(port)))
  let [requests, refused, failed] = [0, 0, 0]
  const startedAt = performance.now()
  const isOver = () => performance.now() - startedAt > seconds * 1000 || (untilRefused && refused > warmUpRequests)
  await Promise.all(
    opened.map(async (connection, turn) => {
      if (kind.answered && turn >= 8) return // eight clients of the attacker's own, as in the attack
      while (!isOver()) {
        const answer = await connection.send(wire(await kind.request(turn), `localhost:${port}`, address))
        requests += 1
        if (answer.status === 429) refused += 1
        else if (answer.status >= 400) failed += 1
        else kind.answered?.(turn, answer.body)
      }
    }),
  )
  for (const connection of opened) connection.close()
  return { seconds: (performance.now() - startedAt) / 1000, requests, refused, failed }
}

async function sizeOf(database: pg.Client): Promise<Size> {
  const tables = ['artifacts', 'sessions', 'replays', 'throttles', 'audit_events', 'clients']
  const { rows } = await database.query(
    tables
      .map((name) => `select pg_total_relation_size('${name}')::float8 as bytes, count(*)::int as rows from ${name}`)
      .join(' union all '),
  )
  return { bytes: rows.reduce((sum, row) => sum + row.bytes, 0), rows: rows.reduce((sum, row) => sum + row.rows, 0) }
}

async function phase(database: pg.Client, work: () => ReturnType<typeof run>): Promise<Phase & { failed: number }> {
  const before = await sizeOf(database)
  const done = await work()
  const after = await sizeOf(database)
  return { ...done, bytes: after.bytes - before.bytes, rows: after.rows - before.rows }
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '5' }, only: { type: 'string', default: '' } },
  })
  const seconds = Number(values.seconds)
  const dataDir = await mkdtemp(join(tmpdir(), 'postern-leavings-'))
  const embedded = await startDatabase({ dataDir, log: () => {} })
  const port = await freePort()
  const env = {
    ISSUER: `http://localhost:${port}`,
    PORT: String(port),
    DATABASE_URL: embedded.url,
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    TRUSTED_PROXIES: '127.0.0.1',
    OPEN_REGISTRATION: 'true',
    LOG_LEVEL: 'warn',
  }
  const postern = await assemble(parse(env), { log: pino({ level: 'silent' }) })
  await postern.database.db.transaction().execute((tx) =>
    registerClient(
      { tx, provider: postern.provider, storage: postern.storage },
      {
        client_id: client.client_id,
        redirect_uris: [client.redirect_uri],
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
      },
    ),
  )
  await postern.close()
  const log = await openFile(join(dataDir, 'server.log'), 'w')
  const server = spawn(process.execPath, [join(import.meta.dirname, '../src/main.ts')], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', log.fd, log.fd],
  })
  const database = new pg.Client({ connectionString: embedded.url })
  try {
    await database.connect()
    while (
      !(await fetch(`${env.ISSUER}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      ))
    )
      await sleep(100)
    const table = []
    for (const [index, kind] of kinds(env.ISSUER).entries()) {
      if (!kind.name.includes(values.only)) continue
      const common = { port, address: `2001:db8:0:${index + 1}::1`, seconds } // each has a network of its own
      const burst = await phase(database, () =>
        run(kind, { ...common, seconds: refusedWithinSeconds, untilRefused: true }),
      )
      const sustained = await phase(database, () => run(kind, { ...common, untilRefused: false }))
      const rows = burst.rows + sustained.rows
      const perDay = (burst.refused > 0 ? burst.bytes : 0) + (sustained.bytes / sustained.seconds) * day
      table.push({
        request: kind.name,
        'requests/s': Math.round(sustained.requests / sustained.seconds),
        'answered 4xx': burst.failed + sustained.failed,
        'over the limit': sustained.refused,
        'rows/s': Math.round((sustained.rows / sustained.seconds) * 10) / 10,
        'bytes/row': rows > 0 ? Math.round((burst.bytes + sustained.bytes) / rows) : 0,
        'GB a day': Math.round((perDay / 1e9) * 100) / 100,
      })
    }
    console.table(table)
  } finally {
    server.kill('SIGTERM')
    await new Promise((resolve) => server.once('exit', resolve))
    await log.close()
    await database.end()
    await embedded.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

await main()

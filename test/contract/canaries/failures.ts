import { vi } from 'vitest'
import { startRemovingClients } from '../../../src/jobs/client-removal.ts'
import { startRotatingKeys } from '../../../src/jobs/key-rotation.ts'
import { startSweeping } from '../../../src/jobs/sweep.ts'
import { createLogger } from '../../../src/log/index.ts'
import type { DatabaseProxy } from '../../faults/proxy.ts'
import type { Scene } from '../../support/circulation.ts'
import { formsOf } from '../../support/visitor.ts'
import type { Answer } from '../../support/wire.ts'
import type { Channels } from './channels.ts'
import { type Carrier, carriers } from './requests.ts'

export const refusals = 'answers to failed requests'

const written = [
  'accounts',
  'password_credentials',
  'artifacts',
  'clients',
  'grants',
  'sessions',
  'registration_tokens',
  'idempotency_keys',
]
const noted = ['audit_events', 'replays', 'throttles']

/** Makes every request fail in every way, and records the answers. */
export async function provoke(scene: Scene, proxy: DatabaseProxy, channels: Channels): Promise<void> {
  const { database } = scene.postern
  const refuseRows = (tables: string[]) => async () => {
    for (const table of tables)
      await database.query(`alter table ${table} add constraint "${refused}" check (false) not valid`)
    return async () => {
      for (const table of tables) await database.query(`alter table ${table} drop constraint "${refused}"`)
    }
  }
  await under(scene, channels, async () => async () => {}) // with nothing broken: many requests are wrong in themselves
  await under(scene, channels, refuseRows(written))
  await under(scene, channels, refuseRows(noted))
  await under(scene, channels, () => damage(scene))
  await under(scene, channels, async () => {
    proxy.refuse()
    return async () => proxy.accept()
  })
  await cut(scene, proxy, channels)
}

const refused = 'row that is echoed' // PostgreSQL includes the whole row in the detail of its error

/** Sends every request while something is wrong. */
async function under(scene: Scene, channels: Channels, begin: () => Promise<() => Promise<void>>): Promise<void> {
  const prepared = await carriers(scene)
  const end = await begin()
  try {
    for (const carrier of prepared) note(channels, await carrier.send(), carrier)
  } finally {
    await end()
    for (const { client_id } of [scene.client]) scene.postern.server.postern.clients.forget(client_id)
  }
}

/** Breaks the connection at each of the first statements of each request. */
async function cut(scene: Scene, proxy: DatabaseProxy, channels: Channels): Promise<void> {
  for (const [index, carrier] of (await carriers(scene)).entries()) {
    void proxy.cut({ match: () => true, nth: index % 3, when: 'after' })
    note(channels, await carrier.send(), carrier)
    proxy.heal()
  }
}

/** Makes sealed values impossible to open, and hashes impossible to verify. */
async function damage({ postern: { database, server } }: Scene): Promise<() => Promise<void>> {
  const columns = ['clients.secret_sealed', 'idempotency_keys.response_sealed', 'password_credentials.hash']
  const damaging = columns.map((column) => column.split('.') as [string, string])
  const clients = await database.query('select id from clients')
  for (const [table, column] of damaging) await database.query(`update ${table} set ${column} = ${column} || 'AAAA'`)
  await database.query(
    `update artifacts set payload = payload || '{"sealed": "v1.damaged"}' where payload->>'sealed' is not null`,
  )
  for (const { id } of clients) server.postern.clients.forget(String(id))
  return async () => {
    for (const [table, column] of damaging) await database.query(`update ${table} set ${column} = left(${column}, -4)`)
    for (const { id } of clients) server.postern.clients.forget(String(id))
  }
}

/** Records the answers that report a failure. Other answers give the requester what they asked for. */
function note(channels: Channels, { status, headers, text }: Answer, { name, meant = [] }: Carrier): void {
  const location = headers.get('location') ?? ''
  if (status < 400 && !location.includes('error=')) return
  // A page belongs to one person: its forms contain proof of their origin, and its cookies are set for that person.
  const ofForms = formsOf(text).flatMap(({ action, hidden }) => [...Object.values(hidden).flat(), ...action.split('/')])
  const shown = [...headers].filter(([header]) => header !== 'set-cookie').map((header) => header.join(': '))
  const itsOwn = [...meant, ...ofForms.filter((value) => value.length > 8)]
  channels.write(refusals, [`${name} ${status}`, ...shown, '', text].join('\n'), itsOwn)
}

/** Makes every job fail, with a clock that runs ahead instead of waiting. */
export async function failJobs({ postern: { server, database, logged } }: Scene): Promise<void> {
  const { database: connected, keys } = server.postern
  const log = createLogger('trace', { write: (line) => logged.push(line) })
  const tables = ['replays', 'clients', 'keys']
  for (const table of tables) await database.query(`alter table ${table} rename to ${table}_elsewhere`)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const jobs = [startSweeping({ database: connected, log }), startRemovingClients({ database: connected, log })]
  jobs.push(startRotatingKeys({ keys, log }))
  await vi.runOnlyPendingTimersAsync()
  vi.useRealTimers()
  const isTold = (words: string) => logged.some((line) => line.includes(words))
  const told = [
    'sweeping failed',
    'a client could not be removed',
    'rotation of keys failed',
    'keys could not be loaded',
  ]
  await vi.waitFor(
    () => {
      const missing = told.filter((words) => !isTold(words))
      if (missing.length > 0) throw new Error(`nothing was logged of: ${missing.join(', ')}`)
    },
    { timeout: 120_000, interval: 50 },
  )
  await Promise.all(jobs.map((job) => job.stop()))
  for (const table of tables) await database.query(`alter table ${table}_elsewhere rename to ${table}`)
}

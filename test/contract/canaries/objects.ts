import { inspect } from 'node:util'
import { serialize } from 'node:v8'
import pg from 'pg'
import { createLogger } from '../../../src/log/index.ts'
import type { Scene } from '../../support/circulation.ts'
import { declare } from '../../support/declaration.ts'
import type { TestPostern } from '../../support/postern.ts'
import type { Channels } from './channels.ts'

export const printed = 'objects, printed in every way'

/** Every way to turn an object into text, and what happens if that is impossible. */
const ways: Record<string, (value: unknown) => unknown> = {
  'inspect()': (value) => inspect(value, { depth: null, maxArrayLength: null, maxStringLength: null }),
  'inspect() with all that is hidden': (value) => inspect(value, { depth: null, showHidden: true }),
  'inspect() with getters': (value) => inspect(value, { depth: 12, getters: true }),
  'JSON.stringify()': (value) => JSON.stringify(value),
  'String()': (value) => String(value),
  'a template': (value) => `${value}`,
  // One by one: a member that cannot be printed, as in Koa's context, must not hide the others.
  'Object.entries()': (value) =>
    Object.entries(value as object)
      .map(([name, member]) => `${name}: ${attempt((one) => inspect(one, { depth: null }), member)}`)
      .join('\n'),
  'structuredClone()': (value) => inspect(structuredClone(value), { depth: null }),
  'v8.serialize()': (value) => serialize(value).toString('latin1'),
}

/** Prints the objects of a server and the errors of a connection, in every way. */
export async function print(scene: Scene, channels: Channels): Promise<void> {
  const marker = channels.marker(printed)
  const short = scene.canaries.plant('secret in a body that cannot be read').slice(0, 16)
  channels.write(printed, `what cannot be parsed in the log: ${logged(unparsable(short))}`)
  for (const [name, value] of Object.entries({ marker: { marker }, ...(await objects(scene)) })) {
    for (const [way, print] of Object.entries(ways)) {
      if (!exceptions[name]?.includes(way)) channels.write(printed, `${name} by ${way}: ${attempt(print, value)}`)
    }
    channels.write(printed, `${name} in the log: ${logged(value)}`)
  }
}

/** Returns the error of JSON.parse(), which quotes the whole of a short text. */
function unparsable(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return error
  }
}

/** Objects of libraries that keep their secrets out of print, but expose them to direct inspection. */
const exceptions: Record<string, string[]> = {
  'client of the engine': ['Object.entries()', 'structuredClone()', 'v8.serialize()'],
  connection: ['inspect() with all that is hidden'], // the driver needs the password to connect with
}

async function objects(scene: Scene) {
  const { server, config } = scene.postern
  const { postern } = server
  const { provider, clients, storage } = postern
  const { client_id } = scene.client
  const chosen = scene.canaries.plant('declared client_secret')
  const declaration = `
version: 1
clients:
  made: { client_name: Made, policy: administrator, redirect_uris: [https://rp.example/cb] }
  chosen: { client_name: Chosen, policy: administrator, redirect_uris: [https://rp.example/cb], client_secret: { env: CHOSEN } }
resources:
  https://declared.example: { scopes: { read: Read } }`
  const applied = await declare(scene.postern, declaration, { secrets: { CHOSEN: chosen } })
  scene.canaries.collectSecretsOf('declared', applied)
  return {
    config,
    postern,
    database: postern.database,
    keyring: postern.keyring,
    storage,
    envelope: storage.envelope,
    provider,
    clients,
    'client of ours': await clients.find(client_id),
    'client of the engine': await provider.Client.find(client_id),
    applied,
    ...(await brokenConnections(postern.database)),
  }
}

/** Creates a driver's errors about connections: they may carry the connection, which knows the password. */
async function brokenConnections(database: TestPostern['server']['postern']['database']) {
  const connection = await database.dedicated()
  const lost = new Promise((resolve) => connection.once('error', resolve))
  const { rows } = await connection.query('select pg_backend_pid() as pid')
  const killing = connection.query('select pg_terminate_backend($1)', [rows[0].pid]).catch((error: unknown) => error)
  const [killed, error] = [await killing, await lost]
  const failing = (sql: string) =>
    database.db.executeQuery({ sql, parameters: [], query: {} } as never).catch((e: unknown) => e)
  return { connection, killed, error, 'failed query': await failing('select 1 / 0'), client: new pg.Client() }
}

function attempt(print: (value: unknown) => unknown, value: unknown): string {
  try {
    return String(print(value))
  } catch (error) {
    return `${inspect(error, { depth: null })}`
  }
}

function logged(value: unknown): string {
  const lines: string[] = []
  const log = createLogger('trace', { write: (line) => lines.push(line) })
  try {
    log.info({ value, err: value }, 'printed')
  } catch (error) {
    lines.push(inspect(error))
  }
  return lines.join('')
}

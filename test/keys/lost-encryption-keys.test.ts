import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { assemble, type Postern } from '../../src/assemble/index.ts'
import { parse } from '../../src/config/index.ts'
import { createEnvelope } from '../../src/crypto/envelope.ts'
import { createLogger } from '../../src/log/index.ts'
import { secret } from '../../src/secret.ts'
import { postern as runPostern } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { dumpOf } from '../support/dump.ts'
import { createClient, environmentFor } from '../support/postern.ts'
import { serverProcess } from '../support/processes.ts'

const newKey = () => randomBytes(32).toString('base64')
const idOf = (key: string) => createEnvelope([secret(key)]).sealingKeyId

let database: TestDatabase
let env: Record<string, string>
let first: string

beforeEach(async () => {
  const created = await createDatabase()
  database = created
  env = await environmentFor(created.url)
  first = String(env['ENCRYPTION_KEYS'])
  return () => created.drop()
})

/** Starts with these keys, as both the server and the command line do, does some work, and stops. */
async function startWith(
  keys: string | Record<string, string>,
  work: (postern: Postern) => Promise<unknown> = async () => {},
): Promise<void> {
  const settings = typeof keys === 'string' ? { ENCRYPTION_KEYS: keys } : keys
  const postern = await assemble(parse({ ...env, ...settings }), { log: createLogger('silent') })
  try {
    await work(postern)
  } finally {
    await postern.close()
  }
}

const registered = async () =>
  (await database.query('select id from encryption_keys order by created_at, id')).map(({ id }) => String(id))

/** Expects that a start is refused with this message, and that every table stays as it was. */
async function expectRefusal(keys: string | Record<string, string>, words: RegExp | string): Promise<string> {
  const before = await dumpOf(database)
  const refused = await startWith(keys).then(
    () => 'it started',
    (error: Error) => error.message,
  )
  expect(refused).toMatch(words)
  expect(await dumpOf(database)).toBe(before)
  return refused
}

describe('a start', () => {
  test('records the key that seals, once, and before anything is sealed', async () => {
    await startWith(first)
    await startWith(first)
    expect(await registered()).toEqual([idOf(first)])
  })

  test('is refused with another key than the one that sealed everything, with its id, the date, and advice', async () => {
    await startWith(first)
    const since = new Date().toISOString().slice(0, 10)
    const message = await expectRefusal(newKey(), `is sealed with key ${idOf(first)}, which is not in ENCRYPTION_KEYS`)
    expect(message).toContain(`It has been in use since ${since}`)
    expect(message).toContain('Add it to ENCRYPTION_KEYS again, after the new one, and run "postern secrets rotate"')
    expect(message).toContain('Nothing was changed.')
    await startWith(`${newKey()},${first}`)
  })

  test('is refused with another key even if the used one was not recorded', async () => {
    await startWith(first)
    await database.query('delete from encryption_keys')
    await expectRefusal(newKey(), `is sealed with key ${idOf(first)}, which is not in ENCRYPTION_KEYS`)
  })

  test('is refused without a key that only one client secret needs', async () => {
    await startWith(first)
    const second = newKey()
    await startWith(`${second},${first}`, (postern) => createClient(postern, {}))
    await database.query('delete from keys')
    await startWith(`${first},${second}`)
    expect(await registered()).toEqual([idOf(first), idOf(second)])
    await expectRefusal(first, `is sealed with key ${idOf(second)}, which`)
  })

  test('without several of the keys names them all', async () => {
    await startWith(first)
    const second = newKey()
    await startWith(`${second},${first}`)
    const message = await expectRefusal(newKey(), `key ${idOf(first)}, which`)
    expect(message).toContain(`key ${idOf(second)}, which`)
  })

  test('is refused after a key in the database was changed, and names it', async () => {
    await startWith(first)
    await database.query(`update keys set sealed = left(sealed, -2) || 'AA' where purpose = 'pepper'`)
    await expectRefusal(`${newKey()},${first}`, /^shared_secrets\.value:[\w-]+ is damaged/)
  })

  test('is refused when a key in the database is not a sealed value', async () => {
    await startWith(first)
    await database.query(`update keys set sealed = 'in clear' where purpose = 'RS256'`)
    await expectRefusal(`${newKey()},${first}`, /^Not a sealed value: signing_keys\.private_jwk:/)
  })

  test('on a database that recorded no keys records all that it has, because any of them may be needed', async () => {
    const second = newKey()
    await startWith(first)
    await database.query('delete from encryption_keys')
    await startWith(`${second},${first}`)
    expect((await registered()).toSorted()).toEqual([idOf(first), idOf(second)].toSorted())
  })

  test('succeeds after everything sealed with the lost key was given up', async () => {
    await startWith(first, (postern) => createClient(postern, {}))
    await database.query('delete from keys')
    await database.query('delete from encryption_keys')
    await startWith(newKey())
  })

  test('succeeds for one of several with different keys at the same moment, and the others leave nothing', async () => {
    const keys = Array.from({ length: 4 }, newKey)
    const outcomes = await Promise.allSettled(keys.map((key) => startWith(key)))
    const [winner = '', ...others] = keys.filter((_, index) => outcomes[index]?.status === 'fulfilled')
    expect(others).toEqual([])
    expect(await registered()).toEqual([idOf(winner)])
    await startWith(winner)
  })
})

describe('ENCRYPTION_KEYS_FILE', () => {
  let folder: string
  let file: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-lost-'))
    file = join(folder, 'keys')
    await startWith(first)
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  test.each([
    ['does not exist', () => undefined, /^ENCRYPTION_KEYS_FILE: .* cannot be read \(ENOENT\)/],
    ['was cut off', () => first.slice(0, -3), /the key in line 1 must be 32 bytes in base64/],
    ['has another key', newKey, /is sealed with key [0-9a-f]{8}, which is not in/],
  ])('that %s prevents the start', async (_, text, sentence) => {
    const content = text()
    if (content !== undefined) await writeFile(file, content)
    await expectRefusal({ ENCRYPTION_KEYS: '', ENCRYPTION_KEYS_FILE: file }, sentence)
  })

  test('that has the key allows the start, also of several processes', async () => {
    await writeFile(file, `# the one\n${first}\n`)
    const fileEnv = { ...env, ENCRYPTION_KEYS: '', ENCRYPTION_KEYS_FILE: file, WORKERS: '2' }
    const server = serverProcess(fileEnv, Number(env['PORT']), String(env['ISSUER']))
    await server.start()
    expect(await server.stop()).toBe(0)
    expect(await registered()).toEqual([idOf(first)])
  })
})

test('postern start ends with status 1, and shows nothing of a key', async () => {
  await startWith(first)
  const other = newKey()
  const before = await dumpOf(database)
  const { code, stdout, stderr } = await runPostern(['start'], { env: { ...env, ENCRYPTION_KEYS: other } })
  expect(stderr).toMatch(/^Postern could not start\. .* sealed with key [0-9a-f]{8}, which is not in ENCRYPTION_KEYS/)
  expect(code).toBe(1)
  for (const key of [first, other]) expect(stdout + stderr).not.toContain(key.slice(0, 8))
  expect(await dumpOf(database)).toBe(before)
})

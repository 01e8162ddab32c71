import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { examineAll, textOf } from '../../src/cli/doctor/index.ts'
import { clockFinding } from '../../src/cli/doctor/issuer.ts'
import { proxyFindings } from '../../src/cli/doctor/proxy.ts'
import { parse } from '../../src/config/index.ts'
import { styleFor } from '../../src/log/style.ts'
import { postern as commandLine } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let empty: TestDatabase
beforeAll(async () => {
  postern = await startPostern()
  empty = await createDatabase()
  await empty.query('drop schema public cascade')
  await empty.query('create schema public')
})
afterAll(async () => {
  await postern?.stop()
  await empty?.drop()
})

/** What the doctor says with these settings, in place of those of the server. */
async function said(settings: Record<string, string> = {}): Promise<{ isWell: boolean; text: string }> {
  const findings = await examineAll({ ...postern.env, ...settings })
  return { isWell: findings.every(({ state }) => state !== 'problem'), text: textOf(findings, styleFor({}, {})) }
}

describe('postern doctor', () => {
  test('finds no problem with a server that is well, and says so of each thing that it looked at', async () => {
    const { isWell, text } = await said()
    expect(isWell, text).toBe(true)
    for (const line of [
      'The settings are valid',
      `${postern.issuer} answers as itself`,
      'It publishes the keys of this database',
      'The clock of the server agrees with the one here',
      'The clock of the database agrees with the one here',
      'The schema is up to date',
      'The encryption key opens what is in the database',
      'Every purpose has a key in use',
    ]) {
      expect(text).toContain(`✓ ${line}`)
    }
    expect(text).toMatch(/! Whether there are backups cannot be seen from here.*\n {2}→ docs\/backup\.md/)
    expect(text).toMatch(/\n0 problems, \d warnings?\.\n$/)
  })

  test('ends with status 0 where there is no problem and with 1 where there is one', async () => {
    const { code, stdout, stderr } = await commandLine(['doctor'], { env: { PORT: 'x' } })
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toContain('✗ The configuration has mistakes')
  })

  test('writes the same as JSON', async () => {
    const { code, stdout } = await commandLine(['doctor', '--json'], { env: postern.env })
    expect(code).toBe(0)
    const { findings } = JSON.parse(stdout) as { findings: { state: string; what: string; remedy?: string }[] }
    expect(findings[0]).toEqual({ state: 'ok', what: 'The settings are valid' })
    expect(findings.filter(({ state }) => state === 'warning').every(({ remedy }) => remedy)).toBe(true)
  })

  test.each([
    [
      'settings that are wrong',
      async () => ({ PORT: 'x' }),
      /✗ The configuration has mistakes:\n {4}PORT must be a number\n {2}→/,
    ],
    [
      'an issuer that does not answer',
      async () => ({ ISSUER: `http://localhost:${await freePort()}` }),
      /✗ http:\/\/localhost:\d+ does not answer from here: .*ECONNREFUSED.*\n {2}→ Start the server/,
    ],
    [
      'an issuer under another name',
      async () => ({ ISSUER: `http://127.0.0.1:${postern.server.port}` }),
      /✗ http:\/\/127.0.0.1:\d+ answers 421.*\n {2}→ .*X-Forwarded-Host/,
    ],
    [
      'another encryption key',
      async () => ({ ENCRYPTION_KEYS: randomBytes(32).toString('base64') }),
      /✗ Encryption keys are missing: \w+\n {2}→/,
    ],
    [
      'a database without tables',
      async () => ({ DATABASE_URL: empty.url }),
      /✗ The database cannot be examined: .* has no tables of Postern/,
    ],
    [
      'a database that is away',
      async () => ({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }),
      /✗ The database cannot be examined: .*ECONNREFUSED/,
    ],
  ])('calls %s a problem, and says what to do', async (_, settings, expected) => {
    const { isWell, text } = await said(await settings())
    expect(isWell, text).toBe(false)
    expect(text).toMatch(expected)
  })

  test('says that another server answers, by the keys that it publishes', async () => {
    const other = await startPostern()
    const { text } = await said({ ISSUER: other.issuer })
    await other.stop()
    expect(text).toContain('✗ It does not publish the keys of this database')
  })

  test('says that what was answered can be lost, and what may be misspelt', async () => {
    const name = new URL(postern.database.url).pathname.slice(1)
    await postern.database.query(`alter database ${name} set synchronous_commit = off`)
    const { isWell, text } = await said({ ACESS_TOKEN_TTL_SECONDS: '1' })
    await postern.database.query(`alter database ${name} reset synchronous_commit`)
    expect(isWell).toBe(false)
    expect(text).toContain('✗ synchronous_commit is off')
    expect(text).toContain('! ACESS_TOKEN_TTL_SECONDS is no setting')
  })

  test('changes nothing, not even a database that is empty', async () => {
    await said({ DATABASE_URL: empty.url })
    expect(await empty.query(`select * from pg_tables where schemaname = 'public'`)).toEqual([])
  })
})

describe('a clock', () => {
  test.each([
    [500, 'ok'],
    [-1_500, 'ok'],
    [4_000, 'warning'],
    [-4_000, 'warning'],
    [60_000, 'problem'],
  ])('that differs by %i ms is %s', (differenceMs, state) => {
    const [fromMs, toMs] = [1_000_000, 1_003_000] // a slow answer is no wrong clock
    const told = differenceMs < 0 ? fromMs + differenceMs : toMs + differenceMs
    expect(clockFinding('the database', told, { fromMs, toMs }).state).toBe(state)
  })
})

describe('a proxy in front', () => {
  const states = (settings: Record<string, string>, addresses: string[]) =>
    proxyFindings(parse({ ISSUER: 'https://id.example', ...settings }), addresses).map(({ state }) => state)
  const trusting = { TRUSTED_PROXIES: '10.0.0.0/8' }
  const twenty = (...addresses: string[]) =>
    Array.from({ length: 20 }, (_, index) => addresses[index % addresses.length] ?? '')

  test('that nobody trusts is told, but for an issuer on a developer’s own machine', () => {
    expect(states({}, [])).toEqual(['warning'])
    expect(states({ ISSUER: 'http://localhost:3000' }, [])).toEqual([])
  })

  test('is told when all that happened came from one address, and not before enough has', () => {
    expect(states(trusting, twenty('10.0.0.1'))).toEqual(['ok', 'problem'])
    expect(states(trusting, twenty('203.0.113.5', '10.0.0.1'))).toEqual(['ok', 'ok'])
    expect(states(trusting, ['10.0.0.1'])).toEqual(['ok'])
  })
})

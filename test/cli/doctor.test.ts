import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { examineAll, textOf } from '../../src/cli/doctor/index.ts'
import { clockFinding } from '../../src/cli/doctor/issuer.ts'
import { proxyFindings } from '../../src/cli/doctor/proxy.ts'
import { parse } from '../../src/config/index.ts'
import { styleFor } from '../../src/log/style.ts'
import { postern as commandLine } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { answer, startMailServer } from '../support/mail-server.ts'
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

/** Returns the report of the doctor with these settings in place of the server's. */
async function said(settings: Record<string, string> = {}): Promise<{ isWell: boolean; text: string }> {
  const findings = await examineAll({ ...postern.env, ...settings })
  return { isWell: findings.every(({ state }) => state !== 'problem'), text: textOf(findings, styleFor({}, {})) }
}

describe('postern doctor', () => {
  test('finds no problem with a healthy server, and lists everything that it examined', async () => {
    const { isWell, text } = await said()
    expect(isWell, text).toBe(true)
    for (const line of [
      'The settings are valid',
      `${postern.issuer} answers as itself`,
      'It publishes the keys of this database',
      'The clock of the server agrees with the clock here',
      'The clock of the database agrees with the clock here',
      'The schema is up to date',
      'The encryption key decrypts what is in the database',
      'Every purpose has a key in use',
      `Mails wait at ${postern.issuer}/mailbox`,
    ]) {
      expect(text).toContain(`✓ ${line}`)
    }
    expect(text).toMatch(/! Backups cannot be detected from here.*\n {2}→ docs\/backup\.md/)
    expect(text).toMatch(/\n0 problems, \d warnings?\.\n$/)
  })

  test('signs in at the mail server, and sends nothing', async () => {
    const mailServer = await startMailServer({
      onAuth: ({ username, password }, _session, done) =>
        password === 'p@ss' ? done(null, { user: username }) : done(answer(535, 'Wrong password')),
      authMethods: ['PLAIN'],
      allowInsecureAuth: true,
    })
    try {
      const at = (password: string) => ({
        SMTP_URL: `smtp://ada:${password}@127.0.0.1:${mailServer.port}`,
        MAIL_FROM: 'no-reply@example.com',
      })
      const right = `✓ The mail server 127.0.0.1:${mailServer.port} answers and accepts the password of ada`
      expect((await said(at('p%40ss'))).text).toContain(right)
      const wrong = await said(at('wrong'))
      expect(wrong.isWell).toBe(false)
      expect(wrong.text).toMatch(/✗ The mail server 127\.0\.0\.1:\d+ cannot be used: .*535 Wrong password/)
      expect(wrong.text).not.toContain(':wrong')
      expect(mailServer.mails).toEqual([])
    } finally {
      await mailServer.stop()
    }
  })

  test('ends with status 1 when there is a problem', async () => {
    const { code, stdout, stderr } = await commandLine(['doctor'], { env: { PORT: 'x' } })
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toContain('✗ The configuration has mistakes')
  })

  test('writes the same findings as JSON, with status 0 when there is no problem', async () => {
    const { code, stdout } = await commandLine(['doctor', '--json'], { env: postern.env })
    expect(code).toBe(0)
    const { findings } = JSON.parse(stdout) as { findings: { state: string; what: string; remedy?: string }[] }
    expect(findings[0]).toEqual({ state: 'ok', what: 'The settings are valid' })
    expect(findings.filter(({ state }) => state === 'warning').every(({ remedy }) => remedy)).toBe(true)
  })

  test.each([
    [
      'invalid settings',
      async () => ({ PORT: 'x' }),
      /✗ The configuration has mistakes:\n {4}PORT must be a number\n {2}→/,
    ],
    [
      'an issuer that does not answer',
      async () => ({ ISSUER: `http://localhost:${await freePort()}` }),
      /✗ http:\/\/localhost:\d+ does not answer from here: .*ECONNREFUSED.*\n {2}→ Start the server/,
    ],
    [
      'an issuer with another name',
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
      'an unreachable database',
      async () => ({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }),
      /✗ The database cannot be examined: .*ECONNREFUSED/,
    ],
  ])('reports %s as a problem, and says what to do', async (_, settings, expected) => {
    const { isWell, text } = await said(await settings())
    expect(isWell, text).toBe(false)
    expect(text).toMatch(expected)
  })

  test('reports by the published keys that another server answers', async () => {
    const other = await startPostern()
    const { text } = await said({ ISSUER: other.issuer })
    await other.stop()
    expect(text).toContain('✗ It does not publish the keys of this database')
  })

  test('reports that committed data can be lost, and a setting that may be misspelt', async () => {
    const name = new URL(postern.database.url).pathname.slice(1)
    await postern.database.query(`alter database ${name} set synchronous_commit = off`)
    const { isWell, text } = await said({ ACESS_TOKEN_TTL_SECONDS: '1' })
    await postern.database.query(`alter database ${name} reset synchronous_commit`)
    expect(isWell).toBe(false)
    expect(text).toContain('✗ synchronous_commit is off')
    expect(text).toContain('! ACESS_TOKEN_TTL_SECONDS is not a setting')
  })

  test('changes nothing, not even an empty database', async () => {
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
  ])('that differs by %i ms is reported as %s', (differenceMs, state) => {
    const [fromMs, toMs] = [1_000_000, 1_003_000] // a slow answer does not make a clock wrong
    const told = differenceMs < 0 ? fromMs + differenceMs : toMs + differenceMs
    expect(clockFinding('the database', told, { fromMs, toMs }).state).toBe(state)
  })
})

describe('a proxy in front of the server', () => {
  const states = (settings: Record<string, string>, addresses: string[]) =>
    proxyFindings(parse({ ISSUER: 'https://id.example', ...settings }), addresses).map(({ state }) => state)
  const trusting = { TRUSTED_PROXIES: '10.0.0.0/8' }
  const twenty = (...addresses: string[]) =>
    Array.from({ length: 20 }, (_, index) => addresses[index % addresses.length] ?? '')

  test('is reported when it is not trusted, unless the issuer is on the developer’s own machine', () => {
    expect(states({}, [])).toEqual(['warning'])
    expect(states({ ISSUER: 'http://localhost:3000' }, [])).toEqual([])
  })

  test('is reported when enough events all came from one address', () => {
    expect(states(trusting, twenty('10.0.0.1'))).toEqual(['ok', 'problem'])
    expect(states(trusting, twenty('203.0.113.5', '10.0.0.1'))).toEqual(['ok', 'ok'])
    expect(states(trusting, ['10.0.0.1'])).toEqual(['ok'])
  })
})

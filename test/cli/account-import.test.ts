import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSignIn } from '../../src/authentication/sign-in.ts'
import { adminToken, call, createAdministrator } from '../support/admin.ts'
import { postern as run } from '../support/command-line.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let folder: string
beforeAll(async () => {
  postern = await startPostern({}, { hashing: 'real' })
  folder = await mkdtemp(join(tmpdir(), 'import-'))
})
afterAll(async () => {
  await postern?.stop()
  await rm(folder, { recursive: true })
})

const bcrypt = '$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a' // of U*U*U
const shaCrypt = '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5' // of Hello world!

let files = 0
async function fileOf(lines: readonly unknown[]): Promise<string> {
  const path = join(folder, `${files++}.ndjson`)
  await writeFile(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
  return path
}

const importFile = (...args: string[]) => run(['account', 'import', ...args], { env: postern.env })
const people = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, place) => ({ email: `person-${from + place}@example.com` }))

describe('postern account import', () => {
  test('creates an account for each line, with everything that the line says', async () => {
    const file = await fileOf([
      { email: 'Ada@Example.com', email_verified: true, name: 'Ada', password_hash: bcrypt },
      '',
      { email: 'grace@example.com', id: 'user-4711', claims: { locale: 'en-US' }, groups: ['staff'], disabled: true },
      { email: 'hedy@example.com', password_hash: shaCrypt },
    ])
    const { code, stdout, stderr } = await importFile(file)
    expect([code, JSON.parse(stdout), stderr]).toEqual([0, { lines: 3, created: 3, existing: 0, rejected: 0 }, ''])
    const shown = (account: string) => operate(postern, 'account show', { account })
    expect(await shown('ada@example.com')).toMatchObject({
      email: 'Ada@Example.com',
      email_verified: true,
      claims: { name: 'Ada' },
      disabled: false,
    })
    expect(await shown('user-4711')).toEqual({
      id: 'user-4711',
      email: 'grace@example.com',
      email_verified: false,
      claims: { locale: 'en-US', groups: ['staff'] },
      disabled: true,
    })
  })

  test('lets people sign in with the password they had, and hashes it again', async () => {
    const { passwords, database, keyring } = postern.server.postern
    const signIn = createSignIn({ db: database.db, passwords, throttleKey: keyring.throttleKey })
    const attempt = (email: string, password: string) =>
      signIn({ email, password, address: '192.0.2.1', requestId: 'r', knownBrowser: undefined })
    for (const [email, password] of [
      ['ada@example.com', 'U*U*U'],
      ['hedy@example.com', 'Hello world!'],
    ] as const) {
      expect(await attempt(email, `${password}!`)).toEqual({ error: 'wrong-credentials' })
      expect(await attempt(email, password)).toMatchObject({ accountId: expect.any(String) })
      const [row] = await postern.database.query(
        'select hash from password_credentials join accounts on id = account_id where email_canonical = $1',
        [email],
      )
      expect(row?.['hash']).toMatch(/^\$argon2id\$v=19\$m=19456,p=1,t=2\$/)
      expect(await attempt(email, password)).toMatchObject({ accountId: expect.any(String) })
    }
    expect(await attempt('grace@example.com', '')).toEqual({ error: 'wrong-credentials' })
  })

  test('reports each line that it rejects with its number and the reason, keeps it, and imports the others', async () => {
    const bad: [line: unknown, reason: string][] = [
      ['{"email": "secret-of-a-line', 'is not a JSON object'],
      [['bad@example.com'], 'is not a JSON object'],
      [{ name: 'Nobody' }, 'email: is required'],
      [{ email: 'nobody' }, 'email: must be an email address, such as ada@example.com'],
      [{ email: 'bad@example.com', password: 'plain text' }, 'has members that are unknown: password'],
      [{ email: 'bad@example.com', password_hash: 'md5:1' }, 'password_hash: must be a hash by argon2, bcrypt'],
      [
        { email: 'bad@example.com', password_hash: bcrypt.replace('$05$', '$31$') },
        'password_hash: must have a cost of 4 to 15',
      ],
      [{ email: 'bad@example.com', id: 'erased:1' }, 'id: must have 1 to 128'],
      [{ email: 'bad@example.com', id: 'user-4711' }, 'id: belongs to another account'],
      [{ email: 'bad@example.com', claims: { sub: 'x' } }, 'claims: cannot have sub'],
      [{ email: 'bad@example.com', email_verified: 'yes' }, 'email_verified: must be true or false'],
      [{ email: 'bad@example.com', groups: [' '] }, 'groups.0: must not have'],
    ]
    const lines = bad.flatMap(([line], index) => [line, { email: `good-${index}@example.com` }])
    const rejected = join(folder, 'rejected.ndjson')
    const { code, stdout, stderr } = await importFile(await fileOf(lines), '--rejected', rejected)
    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toEqual({ lines: 24, created: 12, existing: 0, rejected: 12 })
    const reports = stderr.trim().split('\n')
    for (const [index, [, reason]] of bad.entries())
      expect(reports[index]).toContain(`line ${2 * index + 1}: ${reason}`)
    expect(reports).toHaveLength(bad.length)
    for (const part of ['secret-of-a-line', 'plain text', 'md5:1', 'XXXX']) expect(stderr).not.toContain(part)
    const kept = bad.map(([line]) => (typeof line === 'string' ? line : JSON.stringify(line)))
    expect(await readFile(rejected, 'utf8')).toBe(`${kept.join('\n')}\n`)
    expect((await stat(rejected)).mode & 0o777).toBe(0o600)
    expect((await importFile(await fileOf([]), '--rejected', rejected)).stderr).toContain('EEXIST')
  })

  test('skips what is there already when it runs again, and changes nothing of it', async () => {
    const file = await fileOf(people(0, 1_200))
    expect(JSON.parse((await importFile(file)).stdout)).toMatchObject({ created: 1_200, existing: 0 })
    await operate(postern, 'account update', { account: 'person-7@example.com', claims: { name: 'Changed here' } })
    const longer = await fileOf([
      ...people(0, 1_200),
      { email: 'PERSON-7@example.com', name: 'x' },
      ...people(1_200, 1_203),
    ])
    expect(JSON.parse((await importFile(longer)).stdout)).toMatchObject({ created: 3, existing: 1_201, rejected: 0 })
    const after = await operate(postern, 'account show', { account: 'person-7@example.com' })
    expect(after).toMatchObject({ claims: { name: 'Changed here' } })
    const rest = await importFile(longer, '--from-line', '1204')
    expect(JSON.parse(rest.stdout)).toEqual({ lines: 1, created: 0, existing: 1, rejected: 0 })
    const events = await postern.database.query("select 1 from audit_events where type = 'accounts.imported'")
    expect(events.length).toBe(1 + 1 + 3 + 3 + 1)
  })

  test('creates each account once when two imports of one file run at the same time', async () => {
    const entries = people(5_000, 5_400)
    const results = (await Promise.all([
      operate(postern, 'account import', { accounts: entries }),
      operate(postern, 'account import', { accounts: entries.toReversed() }),
    ])) as { created: number; existing: number }[]
    expect(results.map(({ created, existing }) => created + existing)).toEqual([400, 400])
    expect(results.reduce((sum, { created }) => sum + created, 0)).toBe(400)
  })

  test('is also an operation of the admin API, for up to a thousand accounts and two megabytes', async () => {
    const bearer = await adminToken(postern, await createAdministrator(postern))
    const post = (accounts: unknown[]) =>
      call(postern, '/accounts/import', { method: 'POST', bearer, body: { accounts } })
    const wide = people(8_000, 8_999).map((person) => ({ ...person, claims: { nickname: 'x'.repeat(1_000) } }))
    const { status, json } = await post([...wide, { email: 'nobody' }])
    expect([status, json]).toEqual([
      200,
      {
        created: 999,
        existing: 0,
        rejected: [{ index: 999, field: 'email', message: expect.stringContaining('must be') }],
      },
    ])
    expect((await post(people(9_000, 10_001))).status).toBe(422)
    expect((await post(wide.map((person) => ({ ...person, name: 'x'.repeat(1_500) })))).status).toBe(413)
  })

  test('rejects a hostile line alone, whatever is in it, and shows nothing that a terminal obeys', async () => {
    const email = 'hostile@example.com'
    const deep = (levels: number) => `${'['.repeat(levels)}1${']'.repeat(levels)}`
    const hostile: [line: string, reason: string][] = [
      [JSON.stringify({ email, name: 'a\0b' }), 'name: must be well-formed'],
      [JSON.stringify({ email, name: 'a\ud800' }), 'name: must be well-formed'],
      [JSON.stringify({ email, claims: { nickname: 'a\0b' } }), 'claims: must be well-formed'],
      [JSON.stringify({ email, claims: { address: { 'a\udfff': 1 } } }), 'claims: must be well-formed'],
      [`{"email":"${email}","claims":{"x":${deep(20_000)}}}`, 'claims: must be well-formed'],
      [JSON.stringify({ email, claims: { x: 'x'.repeat(70_000) } }), 'claims: must have at most 65536 characters'],
      [JSON.stringify({ email, claims: { groups: ['x'.repeat(9_000)] } }), 'claims: must have groups by their names'],
      [
        JSON.stringify({ email, password_hash: `pbkdf2_sha256$1000$a\0b$${'A'.repeat(43)}=` }),
        'password_hash: must not have control characters',
      ],
      [JSON.stringify({ email, '\u001b[2J\u202e': 1 }), 'has members that are unknown: \\u001b[2J\\u202e'],
      [JSON.stringify({ email, ['x'.repeat(5_000)]: 1 }), 'has members that are unknown: xxx'],
      [JSON.stringify({ email, name: 'x'.repeat(3_000_000) }), 'has more than 1048576 bytes'],
    ]
    const twice = { email: 'twice@example.com', id: 'twice', password_hash: bcrypt }
    const good = [{ email: 'line@example.com', name: 'A\u2028B' }, twice, twice].map((line) => JSON.stringify(line))
    const file = await fileOf([...hostile.map(([line]) => line), ...good])
    const { stdout, stderr } = await importFile(file)
    expect(JSON.parse(stdout)).toEqual({ lines: 14, created: 2, existing: 1, rejected: hostile.length })
    const reports = stderr.trim().split('\n')
    for (const [index, [, reason]] of hostile.entries())
      expect(reports[index]).toContain(`line ${index + 1}: ${reason}`)
    expect(reports.every((report) => report.length < 400)).toBe(true)
    for (const character of ['\u001b', '\u202e']) expect(stderr).not.toContain(character)
    expect(await operate(postern, 'account show', { account: 'line@example.com' })).toMatchObject({
      claims: { name: 'A\u2028B' },
    })
  })

  test('refuses a file that it cannot read, and options that mean nothing', async () => {
    expect(await importFile(join(folder, 'missing'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('ENOENT'),
    })
    expect(await importFile('x', '--from-line', '0')).toMatchObject({ code: 2 })
    expect(await run(['account', 'import'], { env: postern.env })).toMatchObject({ code: 2 })
  })
})

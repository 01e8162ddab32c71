import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Outcome, postern, posternProcess } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { environmentFor } from '../support/postern.ts'

const example = 'examples/postern.yaml'

let folder: string
let database: TestDatabase
let env: Record<string, string>
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-apply-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

beforeEach(async () => {
  const created = await createDatabase()
  database = created
  env = await environmentFor(created.url)
  return () => created.drop()
})

const run = (...args: string[]) => postern(args, { env })
const declare = (text: string, ...args: string[]) => postern(['apply', '-f', '-', ...args], { env, input: text })
const clients = (text: string) => `version: 1\nclients: ${text}`
const audit = () =>
  database.query("select type, actor, details from audit_events where type not like 'key.%' order by id")
const only = (name: string) => database.query('select id from clients where id = $1', [name])

describe('postern apply', () => {
  test('changes nothing when the example file is applied a second time', async () => {
    const first = await run('apply', '-f', example)
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toContain('\n6 to create.\nApplied.\n')
    const lines = await audit()
    expect(lines).toHaveLength(6)
    for (const line of lines)
      expect(line).toMatchObject({ actor: expect.stringMatching(/^operator:./), details: { via: 'apply' } })

    const second = await run('apply', '-f', example)
    expect(second).toEqual({ code: 0, stdout: 'Nothing to change: 6 already as declared.\n', stderr: '' })
    expect(await audit()).toEqual(lines)
  })

  test('lists the changes line by line before it makes them', async () => {
    await declare(clients('{ web: { client_name: Web, redirect_uris: [https://a.example/] }, old: {} }'))
    const text = `version: 1
policies: { team: { max_uris: 3 } }
clients: { web: { client_name: Web site, redirect_uris: [https://b.example/] } }`
    const { code, stdout } = await declare(text, '--prune')
    expect([code, stdout]).toEqual([
      0,
      `  + policy team
      max_uris  3

  ~ client web
      client_name    Web → Web site
      redirect_uris  - https://a.example/
                     + https://b.example/

  - client old, with everything issued to it

1 to create, 1 to change, 1 to delete.
Applied.
`,
    ])
  })

  test('shows the secrets it created, once, and uses no colours without a terminal', async () => {
    const { stdout } = await declare(clients('{ one: {}, two: {} }'))
    expect(stdout).toMatch(/Applied\.\n\nSecrets, which are shown only once:\n\n {2}client one\n {4}client_id {6}one\n/)
    expect(stdout.match(/client_secret {2}[\w-]{64}\n/g)).toHaveLength(2)
    expect(stdout).not.toContain('\u001b')
  })

  test('says the same and does nothing with --dry-run', async () => {
    const text = clients('{ tried: { client_name: Tried } }')
    const tried = await declare(text, '--dry-run')
    expect(tried.code).toBe(0)
    expect(await only('tried')).toEqual([])
    expect(await audit()).toEqual([])
    const applied = await declare(text)
    expect(applied.stdout.startsWith(tried.stdout)).toBe(true)
  })

  test('ends with 3 with --dry-run --exit-code while there is something to do, and otherwise with 0', async () => {
    const text = clients('{ drifted: { client_name: Drifted } }')
    const pending = await posternProcess(['apply', '-f', '-', '--dry-run', '--exit-code'], { env, input: text })
    expect(pending.code).toBe(3)
    await declare(text)
    expect((await declare(text, '--dry-run', '--exit-code')).code).toBe(0)
  })

  test('writes one JSON document for programs with --output json, with the secrets in it', async () => {
    const text = clients('{ json: { client_name: Name } }')
    const parse = ({ stdout }: Outcome) => JSON.parse(stdout) as unknown
    const changes = [
      {
        action: 'create',
        kind: 'client',
        name: 'json',
        differences: [
          { member: 'policy', after: 'administrator' },
          { member: 'client_name', after: 'Name' },
        ],
      },
    ]
    const tried = await declare(text, '--output', 'json', '--dry-run')
    expect(parse(tried)).toEqual({ applied: false, changes, unchanged: 0, secrets: [] })
    const secret = { kind: 'client', name: 'json', client_id: 'json', client_secret: expect.stringMatching(/^.{64}$/) }
    const applied = await declare(text, '--output', 'json')
    expect(parse(applied)).toEqual({ applied: true, changes, unchanged: 0, secrets: [secret] })
  })

  test('reads several files as one declaration, and refuses an entry that two of them declare', async () => {
    const [one, other] = [join(folder, 'one.yaml'), join(folder, 'other.yaml')]
    await writeFile(one, clients('\n  web: { policy: team }'))
    await writeFile(other, 'version: 1\npolicies: { team: {} }')
    expect(await run('apply', '-f', one, '-f', other)).toMatchObject({ code: 0 })
    await writeFile(other, clients('{ web: {} }'))
    expect(await run('apply', '--file', one, '--file', other)).toEqual({
      code: 2,
      stdout: '',
      stderr: `${other}:2:12: clients.web: is already declared at ${one}:3:3\nNothing was applied.\n`,
    })
  })

  test('reads secrets from the environment, and from files beside the declaration, without their final line break', async () => {
    const fromFile = 'a secret in a file, as an orchestrator mounts it'
    const fromEnvironment = 'a secret in the environment, as an orchestrator sets it'
    await writeFile(join(folder, 'web.secret'), `${fromFile}\n`)
    const path = join(folder, 'secrets.yaml')
    await writeFile(path, clients('{ a: { client_secret: { file: web.secret } }, b: { client_secret: { env: B } } }'))
    const apply = (B: string) => postern(['apply', '-f', path], { env: { ...env, B }, cwd: tmpdir() })
    const { code, stdout } = await apply(fromEnvironment)
    expect(code).toBe(0)
    for (const secret of [fromFile, fromEnvironment]) expect(stdout).not.toContain(secret)
    expect((await apply(fromEnvironment)).stdout).toContain('Nothing to change')
    expect((await apply(`${fromEnvironment}!`)).stdout).toContain('client_secret  [secret] → [secret from B]')

    await rm(join(folder, 'web.secret'))
    expect((await apply(fromEnvironment)).stderr).toContain(
      `clients.a.client_secret: ${folder}/web.secret cannot be read`,
    )
  })

  test('is carried out by one of two that run at once, and the other finds nothing to do', async () => {
    const apply = () => posternProcess(['apply', '-f', example], { env })
    const both = await Promise.all([apply(), apply()])
    expect(both.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
    ])
    const outputs = both.map(({ stdout }) => stdout)
    expect(outputs.filter((output) => output.includes('6 to create.'))).toHaveLength(1)
    expect(outputs.filter((output) => output.includes('Nothing to change: 6'))).toHaveLength(1)
    expect(await audit()).toHaveLength(6)
  })

  test('names each mistake of a file on standard error and ends with 2, before it connects to the database', async () => {
    const elsewhere = { ...env, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }
    const input = clients('{ web: { redirect_uri: [] } }')
    expect(await postern(['apply', '-f', '-'], { env: elsewhere, input })).toEqual({
      code: 2,
      stdout: '',
      stderr: '(stdin):2:19: clients.web.redirect_uri: is unknown; did you mean redirect_uris?\nNothing was applied.\n',
    })
  })

  test('names the place and the reason of a refusal, and leaves nothing behind', async () => {
    const input = clients("{ fine: {}, wrong: { redirect_uris: ['http://a.example/'] } }")
    expect(await declare(input)).toEqual({
      code: 2,
      stdout: '',
      stderr:
        '(stdin):2:31: clients.wrong.redirect_uris: must use https (policy administrator, redirect_uris.https)\nNothing was applied.\n',
    })
    expect(await only('fine')).toEqual([])
  })

  test.each([
    [[], 'Name the file with -f'],
    [['-f', 'x.yaml', '--purge'], "Unknown option '--purge'"],
    [['x.yaml'], 'There is one word too many.'],
    [['-f', 'x.yaml', '--output', 'xml'], '--output must be text or json.'],
    [['-f', 'x.yaml', '--exit-code'], '--exit-code needs --dry-run.'],
    [['-f', 'nowhere.yaml'], 'nowhere.yaml cannot be read (ENOENT).'],
    [['-f', 'x.yaml', '-f', 'x.yaml'], 'x.yaml is named twice.'],
  ])('explains what is wrong with %j, and ends with 2', async (args, message) => {
    const { code, stdout, stderr } = await run('apply', ...args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
  })
})

describe('postern export', () => {
  test('writes a file that apply finds nothing to change about', async () => {
    await run('apply', '-f', example)
    const path = join(folder, 'export.yaml')
    expect(await run('export', '--output', path)).toEqual({ code: 0, stdout: '', stderr: '' })
    expect((await run('export')).stdout).toBe(await readFile(path, 'utf8'))
    const { code, stdout } = await run('apply', '-f', path, '--prune')
    expect([code, stdout]).toEqual([0, 'Nothing to change: 8 already as declared.\n'])
  })

  test('explains what is wrong with its options', async () => {
    const { code, stderr } = await run('export', '--file', 'x.yaml')
    expect(code).toBe(2)
    expect(stderr).toContain("Unknown option '--file'")
  })
})

describe('postern', () => {
  test.each(['apply', 'export'])('lists %s, and shows its options', async (command) => {
    expect((await run()).stdout).toContain(`  postern ${command} `)
    const { code, stdout } = await run(command, '--help')
    expect(code).toBe(0)
    expect(stdout).toMatch(new RegExp(`^postern ${command}: .*\\n\\n[\\s\\S]*--`))
  })
})

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operations } from '../../src/admin/operations/index.ts'
import { postern as commandLine } from '../support/command-line.ts'

const own = ['start', 'migrate', 'config', 'doctor', 'apply', 'export', 'secrets rotate', 'secrets list']
const ofOperations = operations().map(({ noun, verb }) => `${noun} ${verb}`)
/** The commands to try. One operation stands for all of them, because the same code reads their options. */
const commands = [...own, 'account create']

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-help-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Runs a command with an address that it cannot listen on, so that a server that starts by mistake ends at once. */
const run = (line: string) =>
  commandLine(line.split(' '), { env: { DATA_DIR: join(folder, 'data'), HOST: '192.0.2.1' } })

describe('--help', () => {
  test.each([...commands.map((command) => `${command} --help`), 'start -h', 'help migrate', 'help keys rotate'])(
    'prints the help of a command and runs nothing: %s',
    async (line) => {
      const { code, stdout, stderr } = await run(line)
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toContain(`postern ${line.replace(/^help | (--help|-h)$/g, '')}: `)
      expect(await readdir(folder)).toEqual([])
    },
  )

  test.each(['account', 'secrets'])('lists the commands of a noun: %s', async (noun) => {
    const { code, stdout } = await run(`${noun} --help`)
    expect(code).toBe(0)
    const named = [...own, ...ofOperations].filter((name) => name.startsWith(`${noun} `))
    for (const name of named) expect(stdout).toContain(`postern ${name} `)
    expect(stdout).not.toContain('postern client ')
  })
})

describe('an unknown option', () => {
  test.each(commands)('is refused before anything runs: %s --dry-rum', async (command) => {
    const { code, stdout, stderr } = await run(`${command} --dry-rum`)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain("Unknown option '--dry-rum'.")
    expect(stderr).toContain(`Usage: postern ${command}`)
    expect(await readdir(folder)).toEqual([])
  })

  test.each([
    ['apply --dry-rum', '--dry-run'],
    ['export --ouput=x', '--output'],
    ['account create --emial ada@example.com', '--email'],
    ['client create --redirect-uri https://app.example/cb', '--redirect-uris'],
    ['migrate --hepl', '--help'],
  ])('is reported with the one that was probably meant: %s', async (line, meant) => {
    expect((await run(line)).stderr).toContain(`Did you mean ${meant}?`)
  })

  test('does not have its value repeated, which may be a secret', async () => {
    expect((await run('account create --pasword=hunter2')).stderr).not.toContain('hunter2')
  })
})

describe('an unknown type of audit event', () => {
  test('is rejected before anything runs, with the most similar type', async () => {
    const { code, stderr } = await run('audit list --type client.registred')
    expect(code).toBe(2)
    expect(stderr).toContain('--type: is not a type of event. Did you mean client.registered?')
    expect(await readdir(folder)).toEqual([])
  })
})

describe('an unknown command', () => {
  test.each([
    ['acount list', 'account'],
    ['migrat', 'migrate'],
    ['account lst', 'list'],
    ['secrets rotat', 'rotate'],
  ])('is reported with the one that was probably meant: %s', async (line, meant) => {
    const { code, stderr } = await run(line)
    expect(code).toBe(2)
    expect(stderr).toContain(`Did you mean ${meant}?`)
  })
})

describe('npm start', () => {
  test('passes its options on, so that its --help runs nothing either', async () => {
    const { stdout } = await promisify(execFile)('npm', ['start', '--silent', '--', '--help'])
    expect(stdout).toContain('postern start: ')
  })
})

describe('a question', () => {
  test('is asked only when no required option is missing, so that nobody types a password in vain', async () => {
    const { code, stderr } = await run('account create')
    expect(code).toBe(2)
    expect(stderr).toContain('--email: is required')
    expect(stderr).not.toContain('--password: is required')
  })
})

describe('a misspelt setting', () => {
  const env = { ACESS_TOKEN_TTL_SECONDS: 'hunter2' }

  test('is reported by a command on standard error, without its value', async () => {
    const { code, stdout, stderr } = await commandLine(['config'], { env })
    expect([code, stderr]).toEqual([
      0,
      'ACESS_TOKEN_TTL_SECONDS is not a setting. Did you mean ACCESS_TOKEN_TTL_SECONDS?\n',
    ])
    expect(stdout).toContain('ACCESS_TOKEN_TTL_SECONDS=600')
  })

  test('is reported together with the mistakes that result from it', async () => {
    const { code, stderr } = await commandLine(['start'], {
      env: { DATABASE_URL: 'postgres://127.0.0.1:1/none', ENCRYPTION_KEY: 'hunter2' },
    })
    expect(code).toBe(2)
    expect(stderr).toContain('ENCRYPTION_KEYS is required')
    expect(stderr).toContain('ENCRYPTION_KEY is not a setting. Did you mean ENCRYPTION_KEYS?')
    expect(stderr).not.toContain('hunter2')
  })

  test('is reported by a server that starts', async () => {
    const key = randomBytes(32).toString('base64')
    const nowhere = { DATABASE_URL: 'postgres://127.0.0.1:1/none', DATABASE_WAIT_SECONDS: '0', ENCRYPTION_KEYS: key }
    const { stdout, stderr } = await commandLine(['start'], { env: { ...env, ...nowhere } })
    expect(stdout + stderr).toContain('"meant":"ACCESS_TOKEN_TTL_SECONDS"')
    expect(stdout + stderr).not.toContain('hunter2')
  })
})

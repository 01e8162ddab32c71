import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postern as commandLine } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const commands = ['account list', 'audit list', 'keys list', 'export', 'secrets list', 'apply -f declaration.yaml']

let folder: string
let empty: TestDatabase
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'postern-elsewhere-')))
  await writeFile(join(folder, 'declaration.yaml'), 'version: 1\nresources: {}\n')
  empty = await createDatabase()
  await empty.query('drop schema public cascade')
  await empty.query('create schema public')
})
afterAll(async () => {
  await empty?.drop()
  await rm(folder, { recursive: true, force: true })
})

const run = (line: string, env = {}) => commandLine(line.split(' '), { env, cwd: folder })

describe('a command in a folder without a database', () => {
  test.each(commands)('creates none, and says where it looked: %s', async (line) => {
    const { code, stdout, stderr } = await run(line)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain(`There is no database in ${join(folder, '.data/postgresql')}`)
    expect(stderr).toContain('set DATA_DIR or DATABASE_URL')
    expect(await readdir(folder)).toEqual(['declaration.yaml'])
  })
})

describe('a command with an empty external database', () => {
  test('creates no tables, and says where it looked, without the password', async () => {
    const env = { DATABASE_URL: empty.url, ENCRYPTION_KEYS: randomBytes(32).toString('base64') }
    const { code, stdout, stderr } = await run('account list', env)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('has no tables of Postern')
    expect(stderr).toContain(new URL(empty.url).pathname)
    const { password } = new URL(empty.url)
    if (password !== '') expect(stderr).not.toContain(password)

    expect((await run('migrate', env)).stdout).toContain('Applied: ')
    expect(await run('account list', env)).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('a command with an unreachable database', () => {
  test('reports it in the words of the server, and does not wait', async () => {
    const env = {
      DATABASE_URL: 'postgres://nobody:hunter2@127.0.0.1:1/none',
      ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    }
    const { code, stderr } = await run('account list', env)
    expect(code).toBe(1)
    expect(stderr).toBe(
      'The database in DATABASE_URL cannot be reached (ECONNREFUSED). Check its host and port, and that it runs.\n',
    )
  })
})

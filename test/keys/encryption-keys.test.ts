import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from '../../src/config.ts'
import { load } from '../../src/keys/encryption-keys.ts'

const run = promisify(execFile)
const cwd = join(import.meta.dirname, '..', '..')
let folder: string
let path: string

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'postern-keys-')), 'data')
  path = join(folder, 'encryption.key')
})
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }))

const begin = async () => (await load(parse({ DATA_DIR: folder }))).map((key) => key.reveal())

describe('the key beside an embedded database', () => {
  test('is made once, for its owner alone, and is the same ever after', async () => {
    const [key = ''] = await begin()
    expect(Buffer.from(key, 'base64')).toHaveLength(32)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    expect(await begin()).toEqual([key])
    expect(await readdir(folder)).toEqual(['encryption.key'])
  })

  test('is one, however many processes start at the same moment', async () => {
    const source = `
      import { parse } from './src/config.ts'
      import { load } from './src/keys/encryption-keys.ts'
      const [key] = await load(parse({ DATA_DIR: process.argv[1] }))
      process.stdout.write(key.reveal())`
    const start = () => run(process.execPath, ['--input-type=module-typescript', '--eval', source, folder], { cwd })
    const keys = (await Promise.all(Array.from({ length: 4 }, start))).map(({ stdout }) => stdout)
    expect(new Set(keys)).toEqual(new Set(await begin()))
  })

  test('that is damaged is never replaced, which would lose everything it sealed', async () => {
    await mkdir(folder, { recursive: true })
    for (const damaged of ['', 'nonsense', randomBytes(16).toString('base64')]) {
      await writeFile(path, damaged)
      await expect(begin()).rejects.toThrow(`${path} is damaged: it must hold 32 bytes in base64.`)
      expect(await readFile(path, 'utf8')).toBe(damaged)
    }
  })

  test('is not used, nor made, when keys are configured', async () => {
    const configured = randomBytes(32).toString('base64')
    const keys = await load(parse({ DATA_DIR: folder, ENCRYPTION_KEYS: configured }))
    expect(keys.map((key) => key.reveal())).toEqual([configured])
    await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from '../../src/config/index.ts'
import { load } from '../../src/keys/encryption-keys.ts'
import { commandsBelow, runCommands } from '../support/documented-commands.ts'

const run = promisify(execFile)
const cwd = join(import.meta.dirname, '..', '..')
const newKey = () => randomBytes(32).toString('base64')
let folder: string
let path: string

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'postern-keys-')), 'data')
  path = join(folder, 'encryption.key')
})
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }))

const loadWith = async (env: Record<string, string>) => (await load(parse(env))).map((key) => key.reveal())
const begin = () => loadWith({ DATA_DIR: folder })

const whole = newKey()

/** Unusable texts of key files, and the reasons reported. */
const wrongTexts: [string, string, string][] = [
  ['is empty', '', 'there is no key'],
  ['contains only comments', '# none yet\n\n', 'there is no key'],
  ['contains something that is not a key', 'nonsense', 'the key in line 1 must be 32 bytes in base64'],
  [
    'contains a key that was cut off',
    `# new\n${newKey()}\n\n${newKey().slice(0, 40)}\n`,
    'the key in line 4 must be 32 by',
  ],
  [
    'contains a key of another length',
    randomBytes(16).toString('base64'),
    'the key in line 1 must be 32 bytes in base64',
  ],
  ['contains two keys in a line', `${newKey()},${newKey()}`, 'the key in line 1 must be 32 bytes in base64'],
  ['contains the raw bytes of a key', randomBytes(32).toString('latin1'), 'must be 32 bytes in base64'],
  ['contains a key of zeros', Buffer.alloc(32).toString('base64'), 'the key in line 1 must not be all zeros'],
  ['contains a key twice', `${whole}\n${whole}`, 'the key in line 2 is there twice'],
]

describe('the key beside an embedded database', () => {
  test('is made once, is readable only by its owner, and then stays the same', async () => {
    const [key = ''] = await begin()
    expect(Buffer.from(key, 'base64')).toHaveLength(32)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    expect(await begin()).toEqual([key])
    expect(await readdir(folder)).toEqual(['encryption.key'])
  })

  test('is one key, however many processes start at the same moment', async () => {
    const source = `
      import { parse } from './src/config/index.ts'
      import { load } from './src/keys/encryption-keys.ts'
      const [key] = await load(parse({ DATA_DIR: process.argv[1] }))
      process.stdout.write(key.reveal())`
    const start = () => run(process.execPath, ['--input-type=module-typescript', '--eval', source, folder], { cwd })
    const keys = (await Promise.all(Array.from({ length: 4 }, start))).map(({ stdout }) => stdout)
    expect(new Set(keys)).toEqual(new Set(await begin()))
  })

  test('may be followed and preceded by others, which keep their order', async () => {
    const [made = ''] = await begin()
    const [newer, older] = [newKey(), newKey()]
    await writeFile(path, `${newer}\n${made}\n${older}\n`)
    expect(await begin()).toEqual([newer, made, older])
  })

  test('is replaced by the commands that docs/operations.md shows, and stays closed to others', async () => {
    const [made = ''] = await begin()
    const [addFirst = '', keepFirst = ''] = await commandsBelow('docs/operations.md', 'Replacing an encryption key')
    const shell = { cwd: '/', env: { DATA_DIR: folder } }
    await runCommands(addFirst, shell)
    const [added, ...others] = await begin()
    expect(added).not.toBe(made)
    expect(others).toEqual([made])
    await runCommands(keepFirst, shell)
    expect(await begin()).toEqual([added])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['encryption.key'])
  })

  test.each(wrongTexts)(
    'that %s is never replaced, because everything it sealed would be lost',
    async (_, text, reason) => {
      await mkdir(folder, { recursive: true })
      await writeFile(path, text)
      await expect(begin()).rejects.toThrow(`${path} is damaged: `)
      await expect(begin()).rejects.toThrow(reason)
      await expect(begin()).rejects.toThrow('Restore it from a backup')
      expect(await readFile(path, 'utf8')).toBe(text)
      expect(await readdir(folder)).toEqual(['encryption.key'])
    },
  )

  test('is not made for an existing database, which must have had one', async () => {
    await mkdir(join(folder, 'postgresql'), { recursive: true })
    await writeFile(join(folder, 'postgresql', 'PG_VERSION'), '18\n')
    await expect(begin()).rejects.toThrow(
      /The key that encrypts the data in .* is missing: .*encryption\.key\. Restore it/,
    )
    expect(await readdir(folder)).toEqual(['postgresql'])
  })

  test('is neither used nor made when keys are configured', async () => {
    const configured = newKey()
    expect(await loadWith({ DATA_DIR: folder, ENCRYPTION_KEYS: configured })).toEqual([configured])
    await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('ENCRYPTION_KEYS_FILE', () => {
  const ofFile = () => loadWith({ DATA_DIR: folder, ENCRYPTION_KEYS_FILE: path })
  beforeEach(() => mkdir(folder))

  test('contains one key a line, among blank lines and comments, with any line ending', async () => {
    const [one, two] = [newKey(), newKey()]
    await writeFile(path, `# of 2026\r\n  ${one}  \r\n\r\n# of 2025\r\n${two}`)
    expect(await ofFile()).toEqual([one, two])
  })

  test.each(wrongTexts)('that %s is rejected, with the line but nothing of its content', async (_, text, reason) => {
    await writeFile(path, text)
    const message = await ofFile().catch((error: Error) => error.message)
    expect(message).toContain(`ENCRYPTION_KEYS_FILE: in ${path}, `)
    expect(message).toContain(reason)
    for (const line of text.split('\n')) if (line.length > 8) expect(message).not.toContain(line.slice(0, 8))
  })

  test('that does not exist is rejected, and not created', async () => {
    await expect(ofFile()).rejects.toThrow(`ENCRYPTION_KEYS_FILE: ${path} cannot be read (ENOENT).`)
    expect(await readdir(folder)).toEqual([])
  })
})

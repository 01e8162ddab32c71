import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDataDir, unusable } from '../../src/database/embedded/data-dir.ts'
import { postern as commandLine } from '../support/command-line.ts'

const isRoot = process.getuid?.() === 0
const nobody = 65_534

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-data-dir-'))
  await writeFile(join(folder, 'file'), '')
  await mkdir(join(folder, 'closed'), { mode: 0o500 })
})
afterAll(async () => {
  await chmod(join(folder, 'closed'), 0o700)
  await rm(folder, { recursive: true, force: true })
})

const start = (dataDir: string) => commandLine(['start'], { env: { DATA_DIR: dataDir, PORT: '1' } })

describe('postern start with a DATA_DIR that cannot be used', () => {
  test.each([
    ['a file', 'file', 'is not a directory, or has a file in its path'],
    ['a path below a file', 'file/data', 'is not a directory, or has a file in its path'],
    ['a path where nothing can be created', '/proc/postern/data', 'nothing can be created at /proc/postern'],
  ])('ends with the reason and advice: %s', async (_, path, reason) => {
    const { code, stderr } = await start(path.startsWith('/') ? path : join(folder, path))
    expect(code).toBe(1)
    expect(stderr).toContain(`DATA_DIR: `)
    expect(stderr).toContain(reason)
    expect(stderr).toContain('set DATA_DIR to another directory, or DATABASE_URL')
    expect(stderr).not.toContain('Port')
  })
})

describe('a data directory', () => {
  test('that its user may not write to is refused with the user and advice', async (context) => {
    if (isRoot) return context.skip('root may write everywhere: the next test uses another user')
    await expect(createDataDir(join(folder, 'closed/data'))).rejects.toThrow(/who runs this, may not write to .*closed/)
    await expect(createDataDir(join(folder, 'closed'))).rejects.toThrow(/who runs this, may not write to .*closed/)
  })

  test.runIf(isRoot)('that another user may not write to is refused with the user and advice', async () => {
    await chmod(folder, 0o755)
    const program = `
      process.setgid(${nobody}); process.setuid(${nobody})
      for (const path of ['closed', 'closed/data', 'data']) {
        await createDataDir(${JSON.stringify(folder)} + '/' + path).catch((error) => console.log(error.message))
      }`
    const source = `import { createDataDir } from ${JSON.stringify(join(import.meta.dirname, '../../src/database/embedded/data-dir.ts'))}\n`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', source + program])
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
    await once(child, 'close')
    expect(output.match(/user 65534, who runs this, may not write to/g)).toHaveLength(3)
    expect(output).toContain('Give it to that user (chown)')
  })

  test('on a disk that is read-only or full is refused with advice', () => {
    expect(unusable('/data', 'EROFS').message).toMatch(/^DATA_DIR: \/data is on a file system .* read-only\. .*volume/)
    expect(unusable('/data', 'ENOSPC').message).toMatch(/^DATA_DIR: there is no space left/)
  })

  test('is created together with its parents, closed to others', async () => {
    await createDataDir(join(folder, 'a/b/data'))
    expect((await stat(join(folder, 'a/b/data'))).mode & 0o777).toBe(0o700)
    await createDataDir(join(folder, 'a/b/data'))
  })
})

test('a HOST that is not an address of this machine is distinguished from a port that may not be used', async () => {
  const env = { HOST: '192.0.2.1', DATABASE_URL: '', DATA_DIR: join(folder, 'host') }
  const { stderr } = await commandLine(['start'], { env })
  expect(stderr).toContain('Postern cannot listen at 192.0.2.1 (EADDRNOTAVAIL). Set HOST')
})

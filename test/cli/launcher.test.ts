import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { version } from '../../src/assemble/version.ts'

const run = promisify(execFile)
const repository = join(import.meta.dirname, '..', '..')
const launcher = join(repository, 'postern')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern launcher '))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('./postern', () => {
  test('runs the command of its checkout from another folder, with no other program on the path', async () => {
    const { stdout } = await run(launcher, ['--version'], { cwd: folder, env: { PATH: '/usr/bin:/bin' } })
    expect(stdout).toBe(`${version}\n`)
  })

  test('can be called through a symbolic link', async () => {
    await symlink(launcher, join(folder, 'link'))
    await symlink('link', join(folder, 'link to a link'))
    const { stdout } = await run(join(folder, 'link to a link'), ['--version'], { cwd: '/' })
    expect(stdout).toBe(`${version}\n`)
  })

  test('downloads nothing when packages are missing, and says how to install them', async () => {
    await copyFile(launcher, join(folder, 'postern'))
    await expect(run(join(folder, 'postern'), ['--version'])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`(cd '${folder}' && npm ci)`),
    })
  })
})

test('the package cannot be published by accident under a name that may belong to others', async () => {
  expect(JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'))).toHaveProperty('private', true)
})

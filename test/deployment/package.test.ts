import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/postern.ts'
import { surroundings } from './dockerfile.ts'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../..', import.meta.url))

type Packed = { filename: string; files: { path: string; mode: number }[] }

let folder: string
let elsewhere: string
let packed: Packed
let server: ChildProcess | undefined

// The PATH with the command where `npm install --global` puts it, and with the Node.js of this run.
const PATH = () => [join(folder, 'prefix/bin'), dirname(process.execPath), surroundings()['PATH']].join(':')
const postern = (...args: string[]) =>
  run('postern', args, { cwd: elsewhere, env: { ...surroundings(), PATH: PATH(), DATA_DIR: join(elsewhere, 'data') } })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-package-'))
  elsewhere = join(folder, 'elsewhere')
  const checkout = join(folder, 'checkout')
  const sources = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'bin', 'migrations', 'src', 'templates']
  const documents = ['CHANGELOG.md', 'LICENSE', 'README.md']
  await mkdir(elsewhere)
  for (const path of [...sources, ...documents, 'test/support']) {
    await cp(join(repository, path), join(checkout, path), { recursive: true })
  }
  await symlink(join(repository, 'node_modules'), join(checkout, 'node_modules'))

  const pack = await run('npm', ['pack', '--json'], { cwd: checkout, env: surroundings() })
  const answer = JSON.parse(pack.stdout.slice(pack.stdout.search(/^[[{]/m)))
  packed = (Array.isArray(answer) ? answer[0] : Object.values(answer)[0]) as Packed
  const tarball = join(checkout, packed.filename)
  await run('npm', ['install', '--global', '--prefix', join(folder, 'prefix'), tarball], {
    cwd: elsewhere,
    env: surroundings(),
  })
}, 180_000)

afterAll(async () => {
  if (server && server.exitCode === null) {
    const gone = once(server, 'exit')
    server.kill('SIGTERM')
    await gone
  }
  if (folder) await rm(folder, { recursive: true, force: true })
})

describe('the package', () => {
  test('contains compiled code, migrations, templates and documents, and nothing else', () => {
    const paths = packed.files.map(({ path }) => path)
    for (const path of [
      'bin/postern.js',
      'dist/src/cli.js',
      'dist/src/database/embedded/index.js',
      'dist/src/resource-server/index.js',
      'dist/src/views/texts/en.json',
      'dist/src/resource-server/index.d.ts',
      'dist/migrations/0001-initial.js',
      'templates/sign-in.njk',
      'templates/assets/postern.css',
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'package.json',
    ]) {
      expect(paths).toContain(path)
    }
    const others = paths.filter(
      (path) => !/^(bin|dist\/(src|migrations)|templates)\/.|^[A-Z]+(\.md)?$|^package\.json$/.test(path),
    )
    expect(others).toEqual([])
    const source = paths.filter((path) => /\.(ts|map)$|test/.test(path))
    expect(source.filter((path) => !/^dist\/src\/resource-server\/[\w-]+\.d\.ts$/.test(path))).toEqual([])
  })

  test('has a command that a shell can run', async () => {
    const bin = packed.files.find(({ path }) => path === 'bin/postern.js')
    expect(Number(bin?.mode) & 0o111).toBe(0o111)
    expect(await readFile(join(repository, 'bin/postern.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })
})

describe('postern, installed with npm install --global', () => {
  test('lists its commands and prints its version', async () => {
    const { stdout } = await postern()
    for (const command of ['postern start', 'postern migrate', 'postern account create', 'postern client create']) {
      expect(stdout).toContain(command)
    }
    const { version } = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'))
    expect((await postern('--version')).stdout.trim()).toBe(version)
  })

  test('shows its settings', async () => {
    expect((await postern('config')).stdout).toContain('ISSUER=http://localhost:3000\n')
  })

  test('refuses an unknown command, and says how to list the known ones', async () => {
    await expect(postern('frobnicate')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('postern --help'),
    })
  })

  test('starts a server on an embedded PostgreSQL, with its pages and migrations, and stops both together', async () => {
    const port = await freePort()
    const issuer = `http://localhost:${port}`
    const started = spawn('postern', ['start'], {
      cwd: elsewhere,
      env: { ...surroundings(), PATH: PATH(), PORT: String(port) }, // DATA_DIR is .data in the current folder
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    server = started
    let output = ''
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
      })
    }
    for (const deadline = Date.now() + 120_000; !output.includes('Postern is ready'); await sleep(100)) {
      if (started.exitCode !== null || Date.now() > deadline) throw new Error(output)
    }

    const discovery = await fetch(`${issuer}/.well-known/openid-configuration`)
    expect(await discovery.json()).toMatchObject({ issuer })
    expect(await (await fetch(issuer)).text()).toContain('Postern')
    expect((await fetch(`${issuer}/health/ready`)).status).toBe(200)
    expect((await stat(join(elsewhere, '.data'))).mode & 0o007).toBe(0)

    const postmaster = Number(
      (await readFile(join(elsewhere, '.data/postgresql/postmaster.pid'), 'utf8')).split('\n')[0],
    )
    const exited = once(started, 'exit')
    started.kill('SIGINT')
    expect(await exited).toEqual([0, null])
    await eventually(() => expect(() => process.kill(postmaster, 0)).toThrow('ESRCH')) // the system reaps it
  })
})

describe('@postern/resource-server', () => {
  let alone: string
  beforeAll(async () => {
    const checkout = join(folder, 'checkout')
    await cp(join(repository, 'docs/resource-server.md'), join(checkout, 'docs/resource-server.md'))
    const { stdout } = await run('npm', ['run', '--silent', 'pack:resource-server'], {
      cwd: checkout,
      env: surroundings(),
    })
    const [tarball = ''] = /postern-resource-server-\S+\.tgz/.exec(stdout) ?? []
    alone = join(folder, 'alone')
    await mkdir(alone)
    await writeFile(join(alone, 'package.json'), '{"type":"module"}')
    await run('npm', ['install', '--no-audit', '--no-fund', join(checkout, tarball)], {
      cwd: alone,
      env: surroundings(),
    })
  }, 120_000)

  test('installs only jose, and is small', async () => {
    const modules = join(alone, 'node_modules')
    const installed = (await readdir(modules)).filter((name) => !name.startsWith('.'))
    expect(installed.sort()).toEqual(['@postern', 'jose'])
    const files = await readdir(modules, { recursive: true, withFileTypes: true })
    const sizes = await Promise.all(
      files.filter((file) => file.isFile()).map(async (file) => (await stat(join(file.parentPath, file.name))).size),
    )
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(2_000_000)
  })

  test('can be imported by its own name', async () => {
    const script = `import { requireToken } from '@postern/resource-server'; process.stdout.write(typeof requireToken)`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
      cwd: alone,
      env: surroundings(),
    })
    expect(stdout).toBe('function')
  })

  test('has the version of the server, and depends on the same version of jose', async () => {
    const read = async (path: string) => JSON.parse(await readFile(join(repository, path), 'utf8'))
    const [own, server] = [await read('src/resource-server/package.json'), await read('package.json')]
    expect([own.version, own.dependencies]).toEqual([server.version, { jose: server.dependencies.jose }])
  })
})

describe('postern/resource-server, in a project of its own', () => {
  let project: string
  const node = (...args: string[]) => run(process.execPath, args, { cwd: project, env: surroundings() })

  beforeAll(async () => {
    project = join(folder, 'project')
    await mkdir(join(project, 'node_modules'), { recursive: true })
    await symlink(join(folder, 'prefix/lib/node_modules/postern'), join(project, 'node_modules/postern'))
    await symlink(join(repository, 'node_modules/@types'), join(project, 'node_modules/@types'))
    await writeFile(join(project, 'package.json'), '{"type":"module"}')
  })

  test('protects an API, and loads nothing of the server', async () => {
    await writeFile(
      join(project, 'api.js'),
      `import { registerHooks } from 'node:module'
       const loaded = []
       registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
       const { requireToken } = await import('postern/resource-server')
       const api = requireToken({ issuer: 'https://login.example', audience: 'https://api.example/', scopes: ['read'] })
       const { status } = await api.request(new Request('https://api.example/notes'))
       console.log(JSON.stringify({ status, loaded: loaded.filter((url) => !url.startsWith('node:')) }))`,
    )
    const { status, loaded } = JSON.parse((await node('api.js')).stdout) as { status: number; loaded: string[] }
    expect(status).toBe(401)
    expect(loaded.length).toBeGreaterThan(10)
    const foreign = loaded.filter((url) => !/\/postern\/(dist\/src\/resource-server|node_modules\/jose)\//.test(url))
    expect(foreign).toEqual([])
  })

  test('has types that fit those of Koa and Express and reject a mistake', async () => {
    const check = async (name: string, code: string) => {
      await writeFile(join(project, name), code)
      const options = '--strict --exactOptionalPropertyTypes --noEmit --module nodenext --target esnext --types node'
      return node(join(repository, 'node_modules/typescript/bin/tsc'), ...options.split(' '), name)
    }
    await check(
      'right.ts',
      `import type { RequestHandler } from 'express'
       import type { Middleware } from 'koa'
       import { type Claims, requireToken } from 'postern/resource-server'
       const api = requireToken({ issuer: 'https://login.example', audience: 'https://api.example/', scopes: ['read'] })
       export const koa: Middleware[] = [api.metadata.koa(), api.koa({ maxAgeSeconds: 300 })]
       export const express: RequestHandler[] = [api.metadata.express(), api.express()]
       export async function handle(request: Request): Promise<Response> {
         const token: Claims | Response = await api.request(request, { scopes: ['write'] })
         return token instanceof Response ? token : Response.json({ sub: token.sub?.length, exp: token.exp + 1 })
       }`,
    )
    const wrong = `import { requireToken } from 'postern/resource-server'
      requireToken({ issuer: 'https://login.example', audience: 'https://api.example/', scope: 'read' })`
    await expect(check('wrong.ts', wrong)).rejects.toMatchObject({ stdout: expect.stringContaining("'scope'") })
  })

  test('is the only part of the package that can be imported', async () => {
    for (const path of ['postern', 'postern/dist/src/serve.js', 'postern/dist/src/resource-server/cache.js']) {
      await expect(node('--eval', `await import('${path}')`)).rejects.toMatchObject({
        stderr: expect.stringContaining('ERR_PACKAGE_PATH_NOT_EXPORTED'),
      })
    }
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/postern.ts'
import { createBrowser } from './browser.ts'
import { type Example, repository, run, stopAll, watch } from './example.ts'

let place: string
let dataDir: string
let ports: Record<'PORT' | 'RELYING_PARTY_PORT' | 'RESOURCE_SERVER_PORT', string>

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'postern-demo-'))
  dataDir = join(place, 'data')
  const [PORT, RELYING_PARTY_PORT, RESOURCE_SERVER_PORT] = [await freePort(), await freePort(), await freePort()]
  ports = {
    PORT: String(PORT),
    RELYING_PARTY_PORT: String(RELYING_PARTY_PORT),
    RESOURCE_SERVER_PORT: String(RESOURCE_SERVER_PORT),
  }
})
afterAll(async () => {
  await stopAll()
  await rm(place, { recursive: true, force: true })
})

/**
 * Runs the demo as in a terminal: npm, its shell and the demo are one process group, which Ctrl-C reaches as a whole.
 */
function npmRunDemo(settings: Record<string, string> = {}): Example {
  const env = { ...process.env, DATABASE_URL: '', ...ports, DATA_DIR: dataDir, ...settings }
  return watch(spawn('npm', ['run', 'demo'], { cwd: repository, env, detached: true }), { leadsGroup: true })
}

async function ready(demo: Example): Promise<{ baseUrl: string; email: string; password: string }> {
  const [, baseUrl = '', email = '', password = ''] = await demo.prints(
    /Open\s+(\S+)\n\s+Sign in\s+(\S+)\n\s+Password\s+(\S+)[\s\S]+Ctrl-C stops/,
  )
  return { baseUrl, email, password }
}

async function login({ baseUrl, email, password }: Awaited<ReturnType<typeof ready>>) {
  const browser = createBrowser(`http://localhost:${ports.PORT}`, baseUrl)
  const start = await browser.get(baseUrl)
  expect(start.body).toContain('href="/login"')
  return { browser, page: await browser.signIn(await browser.get(`${baseUrl}/login`), email, { password }) }
}

const postmaster = async () =>
  Number((await readFile(join(dataDir, 'postgresql/postmaster.pid'), 'utf8')).split('\n')[0])

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Expects that nothing is left: no process of the group, no PostgreSQL, nothing at the ports. */
async function expectNothingLeft(demo: Example, postgres: number): Promise<void> {
  await expect.poll(() => isAlive(-Number(demo.child.pid))).toBe(false)
  await expect.poll(() => isAlive(postgres)).toBe(false)
  for (const port of Object.values(ports)) await expect(fetch(`http://localhost:${port}/`)).rejects.toThrow()
}

const environmentOf = async (name: string) => parseEnv(await readFile(join(dataDir, `${name}.env`), 'utf8'))

describe('npm run demo', () => {
  test('starts from nothing, prints where to click, and all of it works; Ctrl-C leaves nothing running', async () => {
    const demo = npmRunDemo({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/not-for-demos' })
    const printed = await ready(demo)
    const { browser, page } = await login(printed)
    expect(page.body).toContain('Hello, Ada Lovelace.')
    const called = await browser.submit(page, '/call-api')
    expect(called.body).toContain('The API answered 200')
    const out = await browser.submit(called, '/logout')
    expect(out.body).toContain('You are signed out')

    const machine = watch(
      spawn(process.execPath, [`--env-file=${dataDir}/machine.env`, 'examples/machine/main.ts'], { cwd: repository }),
    )
    expect(await machine.ended).toMatchObject({ code: 0 })
    expect(machine.output()).toContain('answered 200')
    const device = watch(
      spawn(process.execPath, [`--env-file=${dataDir}/device.env`, 'examples/device/main.ts'], { cwd: repository }),
    )
    await device.prints(/Enter \w{4}-\w{4}/)
    await device.stop()

    const files = (await readdir(dataDir)).filter((name) => name.endsWith('.env'))
    expect(files.sort()).toEqual([
      'account.env',
      'device.env',
      'machine.env',
      'relying-party.env',
      'resource-server.env',
    ])
    for (const name of files) expect((await stat(join(dataDir, name))).mode & 0o777, name).toBe(0o600)

    const postgres = await postmaster()
    expect(isAlive(postgres)).toBe(true)
    process.kill(-Number(demo.child.pid), 'SIGINT')
    await demo.ended
    await expectNothingLeft(demo, postgres)
  })

  test('starts again with its registrations, also on other ports, and stops when only npm gets the signal', async () => {
    const before = await environmentOf('relying-party')
    ports.RELYING_PARTY_PORT = String(await freePort())
    const demo = npmRunDemo()
    const printed = await ready(demo)
    expect(printed.baseUrl).toBe(`http://localhost:${ports.RELYING_PARTY_PORT}`)
    expect((await login(printed)).page.body).toContain('Hello, Ada Lovelace.')
    const after = await environmentOf('relying-party')
    expect([after['CLIENT_ID'], after['CLIENT_SECRET']]).toEqual([before['CLIENT_ID'], before['CLIENT_SECRET']])

    const postgres = await postmaster()
    demo.child.kill('SIGTERM')
    await demo.ended
    await expectNothingLeft(demo, postgres)
  })

  test('starts again without its secrets, and stops when its terminal is closed', async () => {
    for (const name of await readdir(dataDir)) if (name.endsWith('.env')) await rm(join(dataDir, name))
    const demo = npmRunDemo()
    expect((await login(await ready(demo))).page.body).toContain('Hello, Ada Lovelace.')

    const postgres = await postmaster()
    process.kill(-Number(demo.child.pid), 'SIGHUP')
    await demo.ended
    await expectNothingLeft(demo, postgres)
  })

  test('names the port in use and the setting, before it starts anything', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = String(address && typeof address === 'object' && address.port)
    for (const name of Object.keys(ports)) {
      const demo = run('examples/demo.ts', { ...ports, DATA_DIR: join(place, 'untouched'), [name]: port })
      expect(await demo.ended).toMatchObject({ code: 1 })
      expect(demo.output()).toBe(`The demo could not start. Port ${port} is in use. Set ${name} to another one.\n`)
    }
    server.close()
    expect(await readdir(place)).toEqual(['data'])
  })

  test.each(['0', 'http', '70000'])('refuses %s as a port', async (port) => {
    const demo = run('examples/demo.ts', { ...ports, DATA_DIR: join(place, 'untouched'), PORT: port })
    expect(await demo.ended).toMatchObject({ code: 1 })
    expect(demo.output()).toContain('is not a valid port. Set PORT to another one.')
  })
})

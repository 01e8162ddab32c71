import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { surroundings } from '../deployment/dockerfile.ts'
import { createBrowser } from '../examples/browser.ts'
import { stopAll, watch } from '../examples/example.ts'
import { inherited } from '../support/inherited.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { blocksOf } from './blocks.ts'

const run = promisify(execFile)
const email = 'ada@example.com'

type Quickstart = {
  page: string
  language: string
  file: string
  install: (folder: string) => Promise<unknown>
  start: (port: string) => [command: string, ...args: string[]]
  settings?: (folder: string) => Record<string, string>
  ready: RegExp
  /** The path at which the person is after signing in. */
  returnsTo?: string
}

const quickstarts: Quickstart[] = [
  {
    page: 'express.md',
    language: 'js',
    file: 'app.mjs',
    install: (folder) =>
      run('npm', ['install', '--no-audit', '--no-fund', 'express', 'express-session', 'openid-client'], {
        cwd: folder,
        env: surroundings(),
      }),
    start: () => [process.execPath, 'app.mjs'],
    ready: /Open http/,
  },
  {
    page: 'flask.md',
    language: 'python',
    file: 'app.py',
    install: (folder) =>
      run('python3', ['-m', 'pip', 'install', '--quiet', '--target', 'packages', 'flask', 'authlib', 'requests'], {
        cwd: folder,
        env: surroundings(),
      }),
    start: (port) => ['python3', '-m', 'flask', 'run', '--host', 'localhost', '--port', port],
    settings: (folder) => ({ PYTHONPATH: join(folder, 'packages') }),
    ready: /Running on/,
  },
  {
    page: 'go.md',
    language: 'go',
    file: 'main.go',
    async install(folder) {
      const options = { cwd: folder, env: surroundings() }
      await run('go', ['mod', 'init', 'app'], options)
      await run('go', ['mod', 'tidy'], options)
      await run('go', ['build', '-o', 'app', '.'], options)
    },
    start: () => ['./app'],
    ready: /Open http/,
    returnsTo: '/callback',
  },
]

/** Returns whether a program exists, by asking for its version. */
const answers = (command: string, ...args: string[]) =>
  run(command, args, { env: surroundings() }).then(
    () => true,
    () => false,
  )
const has: Record<string, boolean> = {
  js: true,
  python: await answers('python3', '-m', 'pip', '--version'), // pip does not come with every Python
  go: await answers('go', 'version'),
}
const runnable = quickstarts.filter(({ language }) => has[language])
for (const { page, language } of quickstarts) {
  if (!has[language]) process.stderr.write(`${page} is skipped, because the programs it needs are not installed.\n`)
}

let postern: TestPostern
let folder: string
beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email, { name: 'Ada <b>Lovelace</b>' })
  folder = await mkdtemp(join(tmpdir(), 'postern-quickstarts-'))
})
afterAll(async () => {
  await stopAll()
  await postern?.stop()
  await rm(folder, { recursive: true, force: true })
})

describe.each(runnable)(
  'docs/quickstarts/$page',
  ({ page, language, file, install, start, settings, ready, returnsTo = '/' }) => {
    let home: string

    beforeAll(async () => {
      const own = await mkdtemp(join(folder, `${language}-`))
      const [code = ''] = await blocksOf(`docs/quickstarts/${page}`, language)
      await Promise.all([writeFile(join(own, file), code), install(own)])
      const port = String(await freePort())
      home = `http://localhost:${port}`
      const client = await postern.createClient({ client_name: 'My app', redirect_uris: [`${home}/callback`] })
      const env = {
        ...inherited,
        ISSUER: postern.issuer,
        CLIENT_ID: client.client_id,
        CLIENT_SECRET: String(client['client_secret']),
        PORT: port,
        ...settings?.(own),
      }
      const [command, ...args] = start(port)
      await watch(spawn(command, args, { cwd: own, env })).prints(ready)
    }, 180_000)

    test('signs a person in, and greets them by the name that they share', async () => {
      const browser = createBrowser(postern.issuer, home)
      if (returnsTo === '/') expect((await browser.get(home)).body).toContain('Sign in')
      const page = await browser.signIn(await browser.get(`${home}/login`), email)
      expect(new URL(page.url).pathname).toBe(returnsTo)
      expect(page.body).toMatch(/^Hello, Ada &(lt|#60);b/)
    })

    test('rejects an answer that it did not request', async () => {
      const browser = createBrowser(postern.issuer, home)
      const { status, body } = await browser.get(`${home}/callback?code=made-up&state=made-up&iss=${postern.issuer}`)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(body).not.toContain('Hello')
    })
  },
)

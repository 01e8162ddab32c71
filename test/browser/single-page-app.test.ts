import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { surroundings } from '../deployment/dockerfile.ts'
import { blocksOf } from '../quickstarts/blocks.ts'
import { launchChromium } from '../support/chromium.ts'
import { freePort, password, startPostern, type TestPostern } from '../support/postern.ts'

const run = promisify(execFile)
const email = 'ada@example.com'

let postern: TestPostern
let folder: string
let server: Server
let home: string
let browser: Browser

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email, { name: 'Ada Lovelace' })
  folder = await mkdtemp(join(tmpdir(), 'postern-single-page-app-'))
  await run('npm', ['install', '--no-audit', '--no-fund', 'oidc-client-ts'], { cwd: folder, env: surroundings() })
  const port = await freePort()
  home = `http://localhost:${port}/`
  const client = await postern.createClient({ token_endpoint_auth_method: 'none', redirect_uris: [home] })
  const [page = ''] = await blocksOf('docs/quickstarts/single-page-app.md', 'html')
  const own = page.replace('http://localhost:3000', postern.issuer).replace('CLIENT_ID', client.client_id)
  server = createServer(async (req, res) => {
    const path = normalize(new URL(String(req.url), home).pathname)
    const file = path === '/' ? own : await readFile(join(folder, path)).catch(() => undefined)
    res.writeHead(file === undefined ? 404 : 200, {
      'content-type': extname(path) === '.js' ? 'text/javascript' : 'text/html; charset=utf-8',
    })
    res.end(file)
  })
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve))
  browser = await launchChromium()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  server?.close()
  await postern?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

test('docs/quickstarts/single-page-app.md signs a person in and greets them', async () => {
  const page = await browser.newPage()
  await page.goto(home)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('button', { name: 'Allow' }).click()
  await page.getByText('Hello, Ada Lovelace').waitFor()
  expect(page.url()).toBe(home)
  await page.reload()
  await page.getByText('Hello, Ada Lovelace').waitFor()
})

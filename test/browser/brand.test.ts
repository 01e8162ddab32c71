import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decode } from '../../src/images/png.ts'
import { violationsIn } from '../support/accessibility.ts'
import { launchChromium, watchForComplaints } from '../support/chromium.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { brandSettings } from './branded.ts'

const email = 'ada@example.com'
const kept = 'public, max-age=31536000, immutable'
let folder: string
let postern: TestPostern
let browser: Browser
let authorize: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-brand-'))
  postern = await startPostern(await brandSettings(folder))
  await postern.createAccount(email, { name: 'Ada Lovelace' })
  const client = await postern.createClient({ client_name: 'Field Notes' })
  authorize = `${postern.issuer}/oauth/authorize?${new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid profile email',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGjSstw_cM', // from RFC 7636, appendix B; no code is redeemed
    code_challenge_method: 'S256',
  })}`
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await postern?.stop()
  await rm(folder, { recursive: true })
})

const get = (path: string, init: RequestInit = {}) => fetch(`${postern.issuer}${path}`, { redirect: 'manual', ...init })
const bytesOf = async (path: string) => Buffer.from(await (await get(path)).arrayBuffer())
const file = (name: string) => `/assets/${name}?v=${postern.server.postern.brand().files[name]?.version}`

describe('a branded page', () => {
  test.each(['light', 'dark'] as const)(
    'shows the name, the logo and the links, and breaks no rule of WCAG 2.2 AA, in %s colours',
    async (colorScheme) => {
      const context = await browser.newContext({ colorScheme, viewport: { width: 390, height: 844 } })
      const complaints = await watchForComplaints(context)
      const violations: Record<string, unknown> = {}
      const check = async (page: Page, name: string) => {
        expect(await page.title(), name).toMatch(/ · Harbour$/)
        const [address, height] = (await page.evaluate(`(async () => {
          const image = document.querySelector('.brand img')
          await image.decode()
          return [image.currentSrc, image.clientHeight]
        })()`)) as [string, number]
        expect(new URL(address).pathname).toBe(colorScheme === 'dark' ? '/assets/logo-dark.svg' : '/assets/logo.svg')
        expect(height).toBe(36)
        expect(await page.getByRole('banner').getByRole('img', { name: 'Harbour' }).count()).toBe(1)
        expect(await page.getByRole('contentinfo').getByRole('link').allInnerTexts()).toHaveLength(5)
        const found = await violationsIn(page)
        if (found.length > 0) violations[name] = found
      }
      const page = await context.newPage()
      await page.goto(authorize)
      await check(page, 'sign-in')
      await page.getByLabel('Email').fill(email)
      await page.getByLabel('Password').fill(password)
      await page.getByRole('button', { name: 'Sign in', exact: true }).click()
      await check(page, 'consent')
      expect(violations).toEqual({})
      expect(complaints).toEqual([])
      await context.close()
    },
  )

  test('has the colours of the accent, which its style sheet and no other source gives it', async () => {
    const page = await browser.newPage()
    await page.goto(postern.issuer)
    const computed = 'getComputedStyle(document.documentElement).getPropertyValue("--fill").trim()'
    expect(await page.evaluate(computed)).toBe('#f5a300')
    const policy = String((await get('/')).headers.get('content-security-policy'))
    expect(policy).toContain("style-src 'self';connect-src 'self';img-src 'self';manifest-src 'self';")
    await page.close()
  })
})

describe('an icon', () => {
  test.each(['/favicon.ico', '/apple-touch-icon.png'])(
    'is at the address where browsers look for it: %s',
    async (path) => {
      const page = await browser.newPage()
      await page.goto(postern.issuer)
      const size = `new Promise((resolve, reject) => {
      const image = new Image()
      image.onload = () => resolve(image.naturalWidth)
      image.onerror = () => reject(new Error('not decoded'))
      image.src = '${path}'
    })`
      expect(await page.evaluate(size)).toBe(path === '/favicon.ico' ? 48 : 180)
      await page.close()
    },
  )

  test('is made from the picture of the operator, in every size', async () => {
    const mostPixels = 512 * 512
    for (const [path, size] of [
      ['/apple-touch-icon.png', 180],
      [file('icon-192.png'), 192],
    ] as const) {
      const picture = decode(await bytesOf(path), { mostPixels })
      expect([picture?.width, ...(picture?.pixels.subarray(0, 4) ?? [])]).toEqual([size, 245, 163, 0, 255])
    }
    const ico = await bytesOf('/favicon.ico')
    const at = ico.readUInt32LE(6 + 12)
    const first = decode(ico.subarray(at, at + ico.readUInt32LE(6 + 8)), { mostPixels })
    expect([first?.width, ...(first?.pixels.subarray(0, 4) ?? [])]).toEqual([16, 245, 163, 0, 255])
  })
})

describe('a file of the brand', () => {
  test.each([
    ['/favicon.ico', 'image/vnd.microsoft.icon', 'public, max-age=86400'],
    ['/apple-touch-icon.png', 'image/png', 'public, max-age=86400'],
    ['/site.webmanifest', 'application/manifest+json; charset=utf-8', 'public, max-age=86400'],
    ['brand.css', 'text/css; charset=utf-8', kept],
    ['logo.svg', 'image/svg+xml', kept],
    ['logo-dark.svg', 'image/svg+xml', kept],
    ['icon-192.png', 'image/png', kept],
  ])('has its type, may be kept, and runs no script when it is opened: %s', async (name, type, caching) => {
    const path = name.startsWith('/') ? name : file(name)
    const response = await get(path)
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': type,
      'cache-control': caching,
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
      'x-content-type-options': 'nosniff',
    })
    expect(response.headers.get('set-cookie')).toBeNull()
    const headers = { 'if-none-match': String(response.headers.get('etag')), 'cache-control': 'max-age=0' }
    const again = await get(path, { headers })
    expect([again.status, await again.text()]).toEqual([304, ''])
    expect((await get(path, { method: 'HEAD' })).status).toBe(200)
    expect((await get(path, { method: 'POST' })).status).toBe(405)
  })

  test('is checked again if its address has another version, and does not exist by any other name', async () => {
    expect((await get('/assets/brand.css?v=000000000000')).headers.get('cache-control')).toBe('no-cache')
    expect((await get('/assets/favicon.svg')).status).toBe(404) // the operator has an icon
    for (const name of ['constructor', '__proto__', 'logo.png', '..%2flogo.svg']) {
      expect((await get(`/assets/${name}`)).status, name).toBe(404)
    }
  })

  test('can be the manifest, whose name and icons are those of the brand', async () => {
    const manifest = (await (await get('/site.webmanifest')).json()) as { icons: { src: string; sizes: string }[] }
    expect(manifest).toMatchObject({
      name: 'Harbour',
      start_url: '/',
      background_color: '#eceeec',
      theme_color: '#eceeec',
    })
    expect(manifest.icons.map(({ sizes }) => sizes)).toEqual(['192x192']) // the picture is no larger
    for (const { src } of manifest.icons) expect((await get(src)).headers.get('content-type')).toBe('image/png')
  })
})

test('a password manager is led to the page where a person changes the password', async () => {
  const response = await get('/.well-known/change-password')
  expect([response.status, response.headers.get('location')]).toEqual([302, '/account/password'])
})

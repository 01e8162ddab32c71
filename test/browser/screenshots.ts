// Takes the pictures of every page for docs/images: npm run screenshots
import '../../src/runtime.ts'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BrowserContext, Page } from 'playwright-core'
import { parse } from '../../src/config/index.ts'
import { createLogger } from '../../src/log/index.ts'
import { type RunningServer, serve } from '../../src/serve.ts'
import * as resourceServers from '../../src/stores/clients/resource-servers.ts'
import * as records from '../../src/stores/operations/outbox-records.ts'
import * as accounts from '../../src/stores/people/accounts.ts'
import { launchChromium } from '../support/chromium.ts'
import { createClient } from '../support/postern.ts'
import { brandSettings } from './branded.ts'
import { takeRecovery } from './recovery-tour.ts'
import { createTour, fetchDocument, type Site, type Tour, tourSettings } from './tour.ts'

const port = 3999
const sizes = [
  { width: 390, height: 844 },
  { width: 1280, height: 900 },
]
const only = process.argv.slice(2) // names of pages; none means all

const images = process.env['IMAGES'] ?? join(import.meta.dirname, '../../docs/images')
const dataDir = await mkdtemp(join(tmpdir(), 'postern-screenshots-'))
const encryptionKey = randomBytes(32).toString('base64')
await mkdir(images, { recursive: true })
const browser = await launchChromium()
try {
  if (!only.length || only.some((name) => !name.startsWith('branded-'))) {
    await takeAll(tourSettings, 'take', (name) => name)
    await takeMailed()
  }
  await takeAll({ ...tourSettings, ...(await brandSettings(dataDir)) }, 'takeSignIn', () => 'branded-sign-in')
} finally {
  await browser.close()
  await rm(dataDir, { recursive: true, force: true })
}

/** Takes the pages of a walk through a server with these settings. `called` gives each picture its name. */
async function takeAll(
  settings: Record<string, string>,
  walk: keyof Tour,
  called: (name: string) => string,
): Promise<void> {
  const keys = { DATA_DIR: dataDir, ENCRYPTION_KEYS: encryptionKey }
  const config = parse({ ...settings, ...keys, PORT: String(port) })
  const server = await serve(config, { log: createLogger('error'), fetch: fetchDocument })
  const tour = await createTour(siteOf(server))
  await takePictures(called, async (context, visit) => {
    await server.postern.database.db.deleteFrom('outbox').execute() // the mailbox page shows the mails of one tour
    await tour[walk](context, visit)
  })
  await server.stop()
}

/** Takes the pages that mails lead to and from. */
async function takeMailed(): Promise<void> {
  const keys = { DATA_DIR: dataDir, ENCRYPTION_KEYS: encryptionKey }
  const config = parse({ ...keys, PORT: String(port), SIGN_IN_BY_CODE: 'true' })
  const server = await serve(config, { log: createLogger('error') })
  const site = { ...siteOf(server), linkTo: linksOf(server) }
  await takePictures(
    (name) => name,
    (context, visit) => takeRecovery(site, context, visit),
  )
  await server.stop()
}

/** Returns the function that waits for a mail to an address, and returns the link in it. */
function linksOf({ postern: { database, storage } }: RunningServer): (email: string) => Promise<string> {
  return async (recipient) => {
    for (;;) {
      const [newest] = await records.list(database.db, { recipient, limit: 1 })
      const mail = newest && (await records.find(database.db, storage.envelope, newest.id))?.mail
      const link = mail && /https?:\/\/\S+\/link\/\S+/.exec(mail.text)?.[0]
      if (link) return link
      await sleep(100)
    }
  }
}

type Walk = (context: BrowserContext, visit: (name: string, page: Page) => Promise<void>) => Promise<void>

/** Walks through pages in both colours and both sizes, and takes a picture of those of each. `called` gives them their names. */
async function takePictures(called: (name: string) => string, walk: Walk): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const viewport of sizes) {
      const context = await browser.newContext({ colorScheme, viewport })
      await walk(context, async (name, page) => {
        const picture = called(name)
        if (only.length > 0 && !only.includes(picture)) return
        await writeFile(join(images, `${picture}-${colorScheme}-${viewport.width}.webp`), await shoot(page))
      })
      await context.close()
    }
  }
}

/**
 * Takes a picture of the whole page, or of the screen where something sticks to its edge. It is WebP, because the same
 * pictures as PNG are twice as large.
 */
async function shoot(page: Page): Promise<Buffer> {
  const isWhole = (await page.locator('.bar').count()) === 0
  await page.evaluate('document.activeElement.style.caretColor = "transparent"')
  await page.evaluate('document.getAnimations().forEach((animation) => animation.finish())')
  const [width, height] = await page.evaluate<[number, number]>(
    '[document.documentElement.clientWidth, document.documentElement.scrollHeight]',
  )
  const session = await page.context().newCDPSession(page)
  const { data } = await session.send('Page.captureScreenshot', {
    format: 'webp',
    quality: 80,
    captureBeyondViewport: isWhole,
    ...(isWhole && { clip: { x: 0, y: 0, width, height, scale: 1 } }),
  })
  await session.detach()
  return Buffer.from(data, 'base64')
}

function siteOf({ postern }: RunningServer): Site {
  const { db } = postern.database
  const password = 'correct horse battery staple'
  return {
    issuer: postern.config.ISSUER,
    password,
    async createAccount(email, profile) {
      const passwordHash = await postern.passwords.hash(password)
      await db.transaction().execute((tx) => accounts.create(tx, { email, emailVerified: true, profile, passwordHash }))
    },
    createClient: (metadata) => createClient(postern, metadata),
    async createResource(resource) {
      const server = { ...resource, tokenFormat: 'opaque', tokenTtlSeconds: undefined, clientId: undefined } as const
      await db.transaction().execute((tx) => resourceServers.save(tx, server))
    },
  }
}

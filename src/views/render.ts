import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import nunjucks from 'nunjucks'
import { type Asker, filters, type Links } from './askers.ts'

export type { Asker } from './askers.ts'

/** A link back to where the person came from. It says where it leads. */
export type Back = { href: string; label: string }

export type Account = {
  name: string
  email: string
}

/** One thing to tick. `values` are the person's own data that ticking it would share. */
export type ConsentItem = {
  name: string
  title: string
  description: string | undefined
  values: readonly string[]
  required: boolean
  checked: boolean
}

/** A claim requested by name rather than through a scope. */
export type ConsentClaim = {
  name: string
  title: string
  values: readonly string[]
  checked: boolean
}

export type ConsentResource = {
  identifier: string
  name: string
  scopes: readonly ConsentItem[]
}

/** Why a request was refused, and the command that would let it through. */
export type Explanation = {
  reason: string
  expected?: string | undefined
  received?: string | undefined
  remedy?: string | undefined
}

export type SignInError = 'wrong-credentials' | 'too-many-attempts' | 'incomplete' | 'busy'
export type SignInReason = 'reauthenticate' | 'account-mismatch' | 'sign-in-ended'
export type ConsentError = 'nothing-granted' | 'invalid'
export type DeviceCodeError = 'no-code' | 'not-found' | 'expired' | 'used' | 'too-many' | 'other'
export type ErrorCode =
  | 'expired'
  | 'not-found'
  | 'not-possible'
  | 'bad-request'
  | 'forbidden'
  | 'server-error'
  | 'already-done'
  | 'too-many-attempts'
  | 'too-many-requests'
  | 'unavailable'
  | 'other-browser'
  | 'no-cookies'
  | 'app-gone'
  | 'account-gone'
  | 'signed-out'
  | 'protocol'

/**
 * Every page with all it may use. A member that can be absent is `T | undefined` and still has to be
 * named, so forgetting one is a compile error and not a page that throws.
 */
export type Views = {
  'sign-in': {
    uid: string
    csrf: string
    /** `isFirstParty`: an app of this server itself, so nobody else's host needs to be shown. */
    client: Asker & { isFirstParty?: boolean | undefined }
    email: string
    error: SignInError | undefined
    retryAfterSeconds: number | undefined
    reason: SignInReason | undefined
  }
  'continue-as': {
    uid: string
    csrf: string
    client: Asker
    account: Account
  }
  consent: {
    uid: string
    csrf: string
    client: Asker & Links
    account: Account
    scopes: readonly ConsentItem[]
    claims: readonly ConsentClaim[]
    resources: readonly ConsentResource[]
    error: ConsentError | undefined
  }
  'device-code': {
    action: string
    xsrf: string
    userCode: string | undefined
    error: DeviceCodeError | undefined
  }
  'device-confirm': {
    action: string
    xsrf: string
    userCode: string
    client: Asker
    device: { ip: string | undefined; userAgent: string | undefined }
  }
  'device-done': {
    outcome: 'approved' | 'denied'
    client: Asker | undefined
  }
  'sign-out': {
    action: string
    xsrf: string
    client: Asker | undefined
    account: Account | undefined
    /** The app's request names no address that the person can be led back to. */
    cannotReturn: boolean
  }
  'signed-out': {
    /** The person chose to stay, or signed in again. */
    isSignedIn: boolean
    cannotReturn: boolean
    back: Back | undefined
  }
  submitting: {
    action: string
    fields: readonly { name: string; value: string }[]
    /** Where the form leads, if that is not to this server. */
    host: string | undefined
  }
  error: {
    code: ErrorCode
    /** The id of the request, by which an administrator finds out why it failed. */
    reference: string | undefined
    /** Why it was refused, where whoever sees the page is who sets up the app. */
    developer: Explanation | undefined
    /** The OAuth error code and description; shown for `protocol` only. */
    error: string | undefined
    errorDescription: string | undefined
    back: Back | undefined
  }
  elsewhere: {
    issuer: string
    /** What the request was asked as, and what a proxy has to do about it. */
    reason: string
  }
  home: {
    issuer: string
    version: string
  }
}

export type ViewName = keyof Views
export type Render = <Name extends ViewName>(name: Name, data: Views[Name]) => string

const names = Object.keys({
  'sign-in': true,
  'continue-as': true,
  consent: true,
  'device-code': true,
  'device-confirm': true,
  'device-done': true,
  'sign-out': true,
  'signed-out': true,
  submitting: true,
  error: true,
  elsewhere: true,
  home: true,
} satisfies Record<ViewName, true>)

// Beside src/ when Node runs the source, and beside dist/ when it runs dist/src/views/render.js.
const templates = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../..' : '../../..', 'templates')

/** The directory to serve at `/assets`. */
export const assets = join(templates, 'assets')

/** Changes whenever an asset does, so browsers may keep what they have for ever. */
export function versionOfAssets(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(assets).sort()) hash.update(file).update(readFileSync(join(assets, file)))
  return hash.digest('hex').slice(0, 12)
}

/** Reads and compiles every template, so that a broken one stops the start and not a visitor. */
export function createViews({
  assetsVersion = versionOfAssets(),
  lang = 'en',
  dir = 'ltr',
}: {
  assetsVersion?: string | undefined
  lang?: string | undefined
  dir?: 'ltr' | 'rtl' | undefined
} = {}): { render: Render } {
  const environment = new nunjucks.Environment(new nunjucks.FileSystemLoader(templates), {
    autoescape: true,
    throwOnUndefined: true,
  })
  environment.addGlobal('assetsVersion', assetsVersion)
  environment.addGlobal('lang', lang)
  environment.addGlobal('dir', dir)
  environment.addFilter('monogram', monogram)
  environment.addFilter('tint', tint)
  environment.addFilter('address', address)
  for (const [name, filter] of Object.entries(filters)) environment.addFilter(name, filter)
  for (const name of names) environment.getTemplate(`${name}.njk`, true)

  return { render: (name, data) => environment.render(`${name}.njk`, data) }
}

/** The first letter or digit of a name: not "<", not a quotation mark, and not half an emoji. */
function monogram(name: string): string {
  return (/[\p{L}\p{N}]/u.exec(name.normalize('NFC'))?.[0] ?? '•').toLocaleUpperCase()
}

/** The same colour for the same host, so two apps that share a name seldom look the same. */
function tint(host: string): number {
  const tints = 6 // as many as the style sheet has
  return (createHash('sha256').update(host).digest()[0] ?? 0) % tints
}

/** An identifier as people read addresses: `https://api.example.com/` is `api.example.com`. */
function address(identifier: string): string {
  return identifier.replace(/^https?:\/\//, '').replace(/\/$/, '')
}

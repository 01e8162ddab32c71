import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import nunjucks from 'nunjucks'

/**
 * The app that asks. `host` is where its answer is sent: of the two, only the host cannot be made up. `verifiedHost` is
 * where it publishes its client id metadata document, if it has one: that host says that the app is its own.
 */
export type Client = {
  name: string
  host: string
  verifiedHost: string | undefined
}

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

export type SignInError = 'wrong-credentials' | 'too-many-attempts' | 'incomplete' | 'busy'
export type SignInReason = 'reauthenticate' | 'account-mismatch' | 'sign-in-ended'
export type ConsentError = 'nothing-granted' | 'invalid'
export type DeviceCodeError = 'no-code' | 'not-found' | 'expired' | 'used' | 'too-many' | 'other'
export type ErrorCode =
  | 'expired'
  | 'not-found'
  | 'bad-request'
  | 'forbidden'
  | 'server-error'
  | 'already-done'
  | 'too-many-attempts'
  | 'too-many-requests'
  | 'unavailable'
  | 'other-browser'
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
    client: Client & { isFirstParty?: boolean | undefined }
    email: string
    error: SignInError | undefined
    retryAfterSeconds: number | undefined
    reason: SignInReason | undefined
  }
  'continue-as': {
    uid: string
    csrf: string
    client: Client
    account: Account
  }
  consent: {
    uid: string
    csrf: string
    /** `isDynamic`: it registered itself and no administrator has reviewed it. */
    client: Client & {
      uri: string | undefined
      policyUri: string | undefined
      tosUri: string | undefined
      isDynamic: boolean
    }
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
    client: Client
    device: { ip: string | undefined; userAgent: string | undefined }
  }
  'device-done': {
    outcome: 'approved' | 'denied'
    client: { name: string }
  }
  'sign-out': {
    action: string
    xsrf: string
    client: { name: string } | undefined
    account: Account | undefined
  }
  'signed-out': {
    client: { name: string; uri: string | undefined } | undefined
  }
  error: {
    code: ErrorCode
    /** What an administrator needs to find this failure in the log. */
    reference: string | undefined
    /** The OAuth error code and description; shown for `protocol` only. */
    error: string | undefined
    errorDescription: string | undefined
    back: { href: string; label: string } | undefined
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
  error: true,
  home: true,
} satisfies Record<ViewName, true>)

// Beside src/ when Node runs the source, two levels up when it runs dist/src/views.js.
const templates = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '..' : '../..', 'templates')

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
  environment.addFilter('isLoopback', isLoopback)
  environment.addFilter('isOfApp', isOfApp)
  environment.addFilter('webAddress', webAddress)
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

/** Whether a host is the person's own machine, where "you return to 127.0.0.1:33418" would say nothing. */
function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host)
}

/** Whether what is there is an app on the person's device, which may be any: nobody can say whose it is (RFC 8252 §8.6). */
function isOfApp(host: string): boolean {
  return isLoopback(host) || host.endsWith(':')
}

/** The address if it leads to the web, else nothing: escaping does not stop `javascript:` in an href. */
function webAddress(uri: string | undefined): string | undefined {
  const url = uri === undefined ? null : URL.parse(uri)
  return url && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : undefined
}

import { randomBytes } from 'node:crypto'
import type { Secret } from '../../src/secret.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { createVisitor, formsOf, type Page, type Visitor } from './visitor.ts'
import { type Answer, basic } from './wire.ts'

/** Collects every secret that a test planted or received, and finds them in texts. */
export type Canaries = {
  /** Returns a new value to use as a secret of that kind. */
  plant(kind: string): string
  collect(kind: string, value: unknown): void
  /** Collects everything in an answer that its holder could use. */
  collectFrom(answer: Pick<Answer, 'json'>): void
  collectForms(page: Page): void
  /** Collects a client's secret, and its encoding of RFC 6749 §2.3.1. */
  collectClient(kind: string, client: ClientMetadata): void
  /** Collects the content of every `Secret` in an object and its nested objects. */
  collectSecretsOf(kind: string, object: object): void
  /** Creates a browser, and collects all of its cookies, interactions and codes. */
  visitor(issuer: string): Visitor
  /** Returns how many there are of each kind. */
  kinds(): ReadonlyMap<string, number>
  /** Returns the kinds of those found in a text, whole, in part, or in another encoding. */
  foundIn(text: string): string[]
  /** Returns the same, with the first position of each. */
  placesIn(text: string): Map<string, number>
}

const pieceLength = 12 // random characters, which no other text has in a row
const shortest = 8 // a user code without its dash
const bearers = ['access_token', 'refresh_token', 'id_token', 'device_code', 'user_code', 'request_uri']
const registered = ['client_secret', 'registration_access_token', 'initial_access_token']

export function createCanaries(): Canaries {
  const values = new Map<string, Set<string>>()
  const pieces = new Map<string, string>()
  const whole = new Map<string, string>()

  function collect(kind: string, value: unknown): void {
    const text = String(value ?? '')
    if (text.length < shortest) throw new Error(`a ${kind} is too short to be looked for: ${text}`)
    values.set(kind, (values.get(kind) ?? new Set()).add(text))
    for (const spelling of spellings(secretPart(text))) {
      if (spelling.length < pieceLength) whole.set(spelling, kind)
      for (let at = 0; at + pieceLength <= spelling.length; at++) {
        pieces.set(spelling.slice(at, at + pieceLength), kind)
      }
    }
  }

  const canaries: Canaries = {
    plant(kind) {
      const value = `canary${randomBytes(18).toString('hex')}`
      collect(kind, value)
      return value
    },
    collect,
    collectFrom({ json }) {
      for (const name of [...bearers, ...registered]) if (json[name] !== undefined) collect(name, json[name])
      if (json['user_code']) collect('user_code without its dash', String(json['user_code']).replace('-', ''))
    },
    collectForms({ body }) {
      for (const { hidden } of formsOf(body))
        for (const name of ['csrf', 'xsrf']) if (hidden[name]) collect(`${name} of a form`, [hidden[name]].flat()[0])
    },
    collectClient(kind, client) {
      const secret = String(client['client_secret'])
      collect(kind, secret)
      const credentials = basic(client.client_id, secret).slice('Basic '.length)
      // Base64 makes four letters of three bytes. The letters of the id are not secret.
      collect('basic credentials', credentials.slice(Math.ceil((client.client_id.length + 1) / 3) * 4))
    },
    collectSecretsOf(kind, object) {
      for (const [name, value] of Object.entries(object)) {
        if (isSecret(value)) for (const text of textsOf(value.reveal())) collect(`${kind}: ${name}`, text)
        else if (typeof value === 'object' && value !== null) canaries.collectSecretsOf(kind, namedBy(name, value))
      }
    },
    visitor(issuer) {
      const watched: typeof fetch = async (input, init) => {
        const response = await fetch(input, init)
        for (const line of response.headers.getSetCookie()) {
          const [name, value] = (line.split(';')[0] ?? '').split(/=(.*)/)
          if (value) collect(name?.endsWith('.sig') ? 'signature of a cookie' : `cookie ${kindOf(name)}`, value)
        }
        for (const place of [String(input), response.headers.get('location') ?? '']) {
          const uid = /\/interaction\/([\w-]+)/.exec(place)?.[1]
          const code = /[?&]code=([\w-]+)/.exec(place)?.[1]
          if (uid) collect('interaction', uid)
          if (code) collect('code', code)
        }
        return response
      }
      return createVisitor(issuer, { fetch: watched })
    },
    kinds: () => new Map([...values].map(([kind, found]) => [kind, found.size])),
    foundIn: (text) => [...canaries.placesIn(text).keys()],
    placesIn(text) {
      const places = new Map<string, number>()
      for (const [value, kind] of whole) if (text.includes(value)) places.set(kind, text.indexOf(value))
      for (let at = 0; at + pieceLength <= text.length; at++) {
        const kind = pieces.get(text.slice(at, at + pieceLength))
        if (kind !== undefined && !places.has(kind)) places.set(kind, at)
      }
      return places
    },
  }
  return canaries
}

/**
 * Returns the secret part of a value: the signature of a JWT, without which it is worthless, the random part of a URN
 * or a sealed value, or the password in a database address.
 */
function secretPart(text: string): string {
  if (/^postgres(ql)?:/.test(text)) return decodeURIComponent(new URL(text).password)
  if (/^(eyJ[\w-]+\.[\w-]+|v1\..*)\.[\w-]+$/.test(text)) return text.slice(text.lastIndexOf('.') + 1)
  return text.startsWith('urn:') ? text.slice(text.lastIndexOf(':') + 1) : text
}

/** Returns the encodings in which a value could appear: as it is, escaped for a URL, and its bytes. */
function spellings(value: string): Set<string> {
  const bytes = Buffer.from(value)
  return new Set([
    value,
    encodeURIComponent(value),
    value.replaceAll(' ', '+'),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=*$/, ''),
    bytes.toString('base64url'),
  ])
}

/** Returns the name of a cookie, without the part that differs between browsers. */
const kindOf = (cookie: string | undefined) => cookie?.replace(/(_browser)_.*/, '$1')

const isSecret = (value: unknown): value is Secret<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as Partial<Secret>).reveal === 'function'

/** Names the items of a list after the list. */
const namedBy = (name: string, value: object) =>
  Array.isArray(value) ? Object.fromEntries(value.map((item, index) => [`${name} ${index + 1}`, item])) : value

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'priv', 'k'] // RFC 7518 §6, and those of an AKP key

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (Buffer.isBuffer(value)) {
    const hex = value.toString('hex')
    const asPrinted = [hex.replace(/..(?!$)/g, '$& '), [...value].join()] // by inspect(), and by JSON.stringify()
    return [value.toString('base64'), value.toString('base64url'), hex, ...asPrinted]
  }
  if (Array.isArray(value)) return value.flatMap(textsOf)
  const members = Object.entries(value as object).filter(([name]) => privateMembers.includes(name))
  if (members.length === 0) throw new Error('The secret part of this Secret is unknown.')
  return members.map(([, member]) => String(member))
}

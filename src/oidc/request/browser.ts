import { randomId, sha256 } from '../../crypto/digests.ts'

/** A cookie that only this server can set, and only the browser that received it sends. */
export type BrowserCookie = { name: string; value: string }

/** The browser that sent a request. */
export type Browser = {
  /** Its cookies, the oldest first: usually one, and several if it began several sign-ins before it had one. */
  presented: readonly BrowserCookie[]
  /** The cookie that the interaction of this request is bound to. */
  bound: BrowserCookie | undefined
}

/**
 * Binds the interaction of a request to its browser, and returns the digest that the interaction keeps of the cookie.
 */
export function bind(browser: Browser): string {
  // A browser without a cookie gets one with a random name, so that two simultaneous first requests keep both of
  // theirs.
  browser.bound ??= browser.presented[0] ?? { name: randomId(6), value: randomId() }
  return noteOf(browser.bound)
}

/** Returns whether an interaction was begun in the browser of this request, by the digest that it kept then. */
export function isBoundTo(browser: Browser, noted: unknown): boolean {
  const cookie = browser.presented.find((presented) => noteOf(presented) === noted)
  browser.bound ??= cookie
  return cookie !== undefined
}

/**
 * Returns the digest of a cookie. Together with the identifier of an interaction, the value itself would let others
 * continue that interaction.
 */
function noteOf({ value }: BrowserCookie): string {
  return sha256(value).toString('base64url')
}

/** Returns the hash that names this browser and one of its interactions, for a link or a code that it asks for. */
export function askedBy(browser: Browser, uid: string): Buffer {
  return sha256(`${uid}\0${bind(browser)}`)
}

/** Returns whether this browser asked for something in an interaction, by the hash that was kept then. */
export function hasAsked(browser: Browser, uid: string, hash: Buffer): boolean {
  const cookie = browser.presented.find((presented) => sha256(`${uid}\0${noteOf(presented)}`).equals(hash))
  browser.bound ??= cookie
  return cookie !== undefined
}

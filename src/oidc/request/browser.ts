import { randomId, sha256 } from '../../crypto/digests.ts'

/** A cookie that only the browser it was given to sends, and only this server can set. */
export type BrowserCookie = { name: string; value: string }

/** The browser a request comes from. */
export type Browser = {
  /** Its cookies, the oldest first: usually one, and several if it began several sign-ins before it had one. */
  presented: readonly BrowserCookie[]
  /** The cookie that the interaction of this request is bound to. */
  bound: BrowserCookie | undefined
}

/** Binds the interaction of a request to its browser, and returns what the interaction notes of it. */
export function bind(browser: Browser): string {
  // A browser without a cookie gets one of its own name: of two first requests at once, neither overwrites the other's.
  browser.bound ??= browser.presented[0] ?? { name: randomId(6), value: randomId() }
  return noteOf(browser.bound)
}

/** Says whether an interaction was begun in the browser of this request, by what it noted then. */
export function isBoundTo(browser: Browser, noted: unknown): boolean {
  const cookie = browser.presented.find((presented) => noteOf(presented) === noted)
  browser.bound ??= cookie
  return cookie !== undefined
}

/** Not the value itself: it is worth something together with the identifier of an interaction. */
function noteOf({ value }: BrowserCookie): string {
  return sha256(value).toString('base64url')
}

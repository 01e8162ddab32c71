import { timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { deriveKey, keyedHash, randomId } from '../crypto/digests.ts'
import type { Secret } from '../secret.ts'

/** The account that knows a browser. `epoch` changes whenever its sign-ins end. */
type KnownAccount = { id: string; epoch: number }

export type KnownBrowsers = {
  /** Returns the counter of this browser's attempts at this account, if it has signed in to the account before. */
  counterOf(cookie: string | undefined, account: KnownAccount): string | undefined
  /** Returns the cookie of a browser that has just signed in to this account. */
  remember(cookie: string | undefined, account: KnownAccount): string
}

const entry = z.tuple([z.string(), z.string(), z.number(), z.number()]) // account, nonce, issued at, epoch
const entries = z.array(entry)
type Entry = z.output<typeof entry>

const mostAccounts = 5 // of one browser; a cookie would have room for a few more
const longestCookie = 2_048 // characters; no cookie of ours is longer
/** How long a browser is known after it signed in. */
export const knownSeconds = 180 * 86_400

/**
 * Creates the recognition of browsers that have signed in before, by a signed cookie (OWASP: “device cookies”). Such a
 * browser has attempts of its own, which nobody without the cookie can use up. The cookie proves nothing else, and
 * signs nobody in.
 */
export function createKnownBrowsers(throttleKey: Secret<Buffer>): KnownBrowsers {
  const key = deriveKey(throttleKey, 'known browsers')
  const nameOf = (accountId: string) => keyedHash(key, `account\0${accountId}`).subarray(0, 16).toString('base64url')
  const signatureOf = (payload: string) => keyedHash(key, `cookie\0${payload}`)

  function read(cookie: string | undefined): Entry[] {
    if (cookie === undefined || cookie.length > longestCookie) return []
    const [payload = '', signature = ''] = cookie.split('.')
    const given = Buffer.from(signature, 'base64url')
    const expected = signatureOf(payload)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return []
    const found = entries.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()))
    const oldest = Date.now() / 1000 - knownSeconds
    return found.filter(([, , issuedAt]) => issuedAt > oldest)
  }

  const entryOf = (found: readonly Entry[], { id, epoch }: KnownAccount) =>
    found.find(([account, , , of]) => account === nameOf(id) && of === epoch)

  return {
    counterOf: (cookie, account) => entryOf(read(cookie), account)?.slice(0, 2).join('\0'),

    remember(cookie, account) {
      const before = read(cookie)
      const name = nameOf(account.id)
      // The nonce stays, so that signing in again brings no further attempts.
      const nonce = entryOf(before, account)?.[1] ?? randomId(12)
      const own: Entry = [name, nonce, Math.floor(Date.now() / 1000), account.epoch]
      const kept = [own, ...before.filter(([other]) => other !== name)].slice(0, mostAccounts)
      const payload = Buffer.from(JSON.stringify(kept)).toString('base64url')
      return `${payload}.${signatureOf(payload).toString('base64url')}`
    },
  }
}

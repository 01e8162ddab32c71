import { askedBy } from '../../oidc/request/browser.ts'
import { current } from '../../oidc/request/work.ts'

/** Returns the hash that names this browser and one of its interactions, for the links and codes that it requests there. */
export function askerOf({ uid }: { uid: string }): Buffer {
  const browser = current()?.browser
  if (!browser) throw new Error('A code belongs to a browser, and none is known here.')
  return askedBy(browser, uid)
}

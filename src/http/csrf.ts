import { timingSafeEqual } from 'node:crypto'
import type { Context } from 'koa'
import { keyedHash } from '../crypto/digests.ts'
import { bind } from '../oidc/request/browser.ts'
import { current } from '../oidc/request/work.ts'
import type { Secret } from '../secret.ts'

const page = 'other-browser' // the page to show: it says to go on where one began

export type Csrf = {
  /** The token of an interaction's forms, in the browser that the interaction is bound to. */
  tokenFor(uid: string): string
  /** Throws a 403 unless the form was sent from a page of ours, as far as the browser says. */
  assertOwnSite(ctx: Context): void
  /** Throws a 403 unless the form is of this interaction and was sent from a page of ours. */
  assertOwnForm(ctx: Context, uid: string, form: { uid: string; csrf: string }): void
}

/**
 * Protects forms of interactions. The token is bound to the interaction and to the browser that it began in;
 * and where the browser says where a form came from, it must be from here.
 */
export function createCsrf({ issuer, key }: { issuer: string; key: Secret<Buffer> }): Csrf {
  const { origin } = new URL(issuer)

  function tokenFor(uid: string): string {
    const browser = current()?.browser
    if (!browser) throw new Error('Forms of interactions are shown and read only where the browser is known.')
    return keyedHash(key, `${uid}\0${bind(browser)}`).toString('base64url')
  }

  function assertOwnSite(ctx: Context): void {
    const site = ctx.get('Sec-Fetch-Site')
    const from = ctx.get('Origin')
    if (site ? site !== 'same-origin' : from !== '' && from !== origin) {
      ctx.throw(403, 'The form was sent from another site.', { page })
    }
  }

  return {
    tokenFor,
    assertOwnSite,
    assertOwnForm(ctx, uid, form) {
      assertOwnSite(ctx)
      const expected = Buffer.from(tokenFor(uid))
      const given = Buffer.from(form.csrf)
      if (form.uid !== uid || given.length !== expected.length || !timingSafeEqual(given, expected)) {
        ctx.throw(403, 'The form does not belong to this sign-in.', { page })
      }
    },
  }
}

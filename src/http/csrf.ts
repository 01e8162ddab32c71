import { timingSafeEqual } from 'node:crypto'
import type { Context } from 'koa'
import { keyedHash } from '../crypto/digests.ts'
import { bind } from '../oidc/request/browser.ts'
import { current } from '../oidc/request/work.ts'
import type { Secret } from '../secret.ts'

const page = 'other-browser' // this page tells the person to return to the browser where they started

export type Csrf = {
  /** Returns the token of an interaction's forms. It is valid in the browser that the interaction is bound to. */
  tokenFor(uid: string): string
  /** Throws a 403 if the browser says that the form was sent from another site. */
  assertOwnSite(ctx: Context): void
  /** Throws a 403 unless the form belongs to this interaction and was sent from our own page. */
  assertOwnForm(ctx: Context, uid: string, form: { uid: string; csrf: string }): void
  /** Returns the token of the forms that a signed-in person is shown, by the uid of their session. */
  tokenOfSession(sessionUid: string): string
  /** Throws a 403 unless the form was sent from our own page in this session. */
  assertOfSession(ctx: Context, sessionUid: string, token: string): void
}

/**
 * Protects forms. The token of an interaction is bound to it and to its browser, and that of a signed-in person to their
 * session. If the browser names the site that a form came from, it must be this server.
 */
export function createCsrf({ issuer, key }: { issuer: string; key: Secret<Buffer> }): Csrf {
  const { origin } = new URL(issuer)

  function tokenFor(uid: string): string {
    const browser = current()?.browser
    if (!browser) throw new Error('A form of an interaction can be shown and read only where the browser is known.')
    return keyedHash(key, `${uid}\0${bind(browser)}`).toString('base64url')
  }

  function assertOwnSite(ctx: Context): void {
    const site = ctx.get('Sec-Fetch-Site')
    const from = ctx.get('Origin')
    if (site ? site !== 'same-origin' : from !== '' && from !== origin) {
      ctx.throw(403, 'The form was sent from another site.', { page })
    }
  }

  const tokenOfSession = (sessionUid: string) => keyedHash(key, `session\0${sessionUid}`).toString('base64url')

  return {
    tokenFor,
    tokenOfSession,
    assertOwnSite,
    assertOwnForm(ctx, uid, form) {
      assertOwnSite(ctx)
      if (form.uid !== uid || !isSame(form.csrf, tokenFor(uid))) {
        ctx.throw(403, 'The form does not belong to this sign-in.', { page })
      }
    },
    assertOfSession(ctx, sessionUid, token) {
      assertOwnSite(ctx)
      if (!isSame(token, tokenOfSession(sessionUid))) {
        ctx.throw(403, 'The form does not belong to this session.', { page })
      }
    },
  }
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}

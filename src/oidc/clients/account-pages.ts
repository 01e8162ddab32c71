import { randomId } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { untilOurTurn } from '../../database/waiting.ts'
import * as builtIn from '../../stores/clients/built-in.ts'
import { routes } from '../endpoints.ts'

/** The path of the pages about a person's own account. */
export const accountPath = '/account'

/** The path to which a person returns after signing in to these pages. */
export const accountCallbackPath = `${accountPath}/callback`

/**
 * Registers the client through which people sign in to the pages about their own account. They sign in there as for any
 * app, so that every way of signing in works there too. Nobody redeems its codes: the pages use the session.
 */
export async function registerAccountPages(db: Db, issuer: string): Promise<void> {
  const metadata = {
    client_name: 'Your account',
    redirect_uris: [`${issuer}${accountCallbackPath}`],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'none',
    scope: 'openid',
    first_party: true,
  }
  await untilOurTurn(() => db.transaction().execute((tx) => builtIn.save(tx, builtIn.accountPagesId, metadata)))
}

/**
 * Returns the address where a person signs in to the pages about their own account, and is then led to `returnTo`, a path
 * of these pages.
 *
 * @param options.maxAgeSeconds - The age of a sign-in from which the person has to sign in again.
 */
export function accountSignInPath(
  issuer: string,
  { returnTo, maxAgeSeconds, prompt }: { returnTo: string; maxAgeSeconds?: number; prompt?: string },
): string {
  return `${routes.authorization}?${new URLSearchParams({
    client_id: builtIn.accountPagesId,
    response_type: 'code',
    redirect_uri: `${issuer}${accountCallbackPath}`,
    scope: 'openid',
    state: returnTo,
    code_challenge: randomId(), // its verifier does not exist, so the code is worth nothing
    code_challenge_method: 'S256',
    ...(maxAgeSeconds !== undefined && { max_age: String(maxAgeSeconds) }),
    ...(prompt !== undefined && { prompt }),
  })}`
}

import { errors } from 'oidc-provider'

const longestSeconds = 3_600 // a client makes one for each request; some of them for an hour

/**
 * Refuses an assertion of a client that would be good for long (RFC 7523 §3, item 4). Its identifier is kept until it
 * expires (item 7), so without a bound a client decides for how long.
 */
export async function assertBrief(_ctx: unknown, claims: { exp?: number }): Promise<void> {
  if (Number(claims.exp) > Date.now() / 1000 + longestSeconds) {
    throw new errors.InvalidClientAuth('client_assertion expires later than in an hour')
  }
}

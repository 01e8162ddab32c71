import { seconds, secondsOrNone } from '../durations.ts'

/** The lifetimes of tokens, sessions and interactions. */
export const lifetimeSettings = {
  ACCESS_TOKEN_TTL_SECONDS: seconds.default(600).describe('Lifetime of an access token.'),
  ID_TOKEN_TTL_SECONDS: seconds.default(3600).describe('Lifetime of an ID token.'),
  REFRESH_TOKEN_TTL_SECONDS: seconds.default(1_209_600).describe('Lifetime of an unused refresh token.'),
  REFRESH_TOKEN_FAMILY_TTL_SECONDS: seconds
    .default(31_536_000)
    .describe('Lifetime of a login that refresh tokens keep alive, however often they are rotated.'),
  REFRESH_TOKEN_REUSE_WINDOW_SECONDS: secondsOrNone
    .default(10)
    .describe(
      'How long a rotated refresh token may be presented again without revoking its whole family. The request fails all the same; 0 always revokes.',
    ),
  SESSION_TTL_SECONDS: seconds.default(1_209_600).describe('Lifetime of an unused sign-in session.'),
  INVITATION_TTL_SECONDS: seconds.default(604_800).describe('How long the link in an invitation works.'),
  INTERACTION_TTL_SECONDS: seconds.default(3600).describe('How long a person has to sign in and consent.'),
}

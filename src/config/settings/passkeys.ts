import { z } from 'zod'
import { hostAsInUrls, isHost, list } from '../lists.ts'
import type { Given, Mistake } from './mistake.ts'

/** The rules of signing in with passkeys. */
export const passkeySettings = {
  PASSKEYS: z
    .stringbool()
    .default(true)
    .describe('Let people sign in with passkeys, which they add at /account/security. See docs/passkeys.md.'),
  PASSWORDS: z
    .stringbool()
    .default(true)
    .describe(
      'Let people sign in with a password. Turned off, nobody can use, choose or be given one: not on pages, not by mail, not in the admin API. Passwords that exist are kept, and work again when it is turned on.',
    ),
  PASSKEY_RP_ID: z
    .string()
    .refine((host) => isHost(host) && !host.includes(':'), 'must be a host name without a port, such as example.com')
    .transform(hostAsInUrls)
    .optional()
    .describe(
      'The domain that passkeys belong to: the host of ISSUER, or a domain above it, so that other hosts of that domain can use them too. Unset means the host of ISSUER. Passkeys of another domain stop working.',
    ),
  PASSKEY_RELATED_ORIGINS: list
    .refine((origins) => origins.every(isOrigin), 'must be https origins, comma separated, such as https://example.de')
    .describe(
      'Other origins that may ask for the passkeys of this server, comma separated, such as https://example.de. Served at /.well-known/webauthn of this host.',
    ),
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text && text.startsWith('https:')
}

/** Finds mistakes in the settings for passkeys, read together with the address of the server. */
export function* passkeyMistakes({
  ISSUER,
  LDAP_URL,
  PASSKEYS,
  PASSKEY_RP_ID,
  PASSWORDS,
  SIGN_IN_BY_CODE,
}: Given<{
  ISSUER: string
  LDAP_URL: string[]
  PASSKEYS: boolean
  PASSKEY_RP_ID: string
  PASSWORDS: boolean
  SIGN_IN_BY_CODE: boolean
}>): Generator<Mistake<{ PASSKEY_RP_ID: unknown; PASSWORDS: unknown }>> {
  if (PASSWORDS === false && PASSKEYS === false && SIGN_IN_BY_CODE === false) {
    yield { name: 'PASSWORDS', message: 'must be true unless people sign in with PASSKEYS or SIGN_IN_BY_CODE' }
  }
  if (PASSWORDS === false && Array.isArray(LDAP_URL) && LDAP_URL.length > 0) {
    yield { name: 'PASSWORDS', message: 'must be true with LDAP_URL: people of a directory sign in with its passwords' }
  }
  if (typeof PASSKEY_RP_ID !== 'string' || typeof ISSUER !== 'string' || !URL.canParse(ISSUER)) return
  const { hostname } = new URL(ISSUER)
  // Browsers reject any other (WebAuthn Level 3 §5.1.3, step 8).
  if (hostname !== PASSKEY_RP_ID && !hostname.endsWith(`.${PASSKEY_RP_ID}`)) {
    yield { name: 'PASSKEY_RP_ID', message: `must be ${hostname}, the host of ISSUER, or a domain above it` }
  }
}

import type { Config } from '../config/index.ts'
import { isLoopbackHost } from '../config/issuer.ts'

/**
 * Returns whether people find their mails on a page of this server: on a developer's machine without a mail server. There,
 * everybody who can open the page can read the mails.
 */
export function hasMailbox({ ISSUER, SMTP_URL }: Pick<Config, 'ISSUER' | 'SMTP_URL'>): boolean {
  return !SMTP_URL && isLoopbackHost(new URL(ISSUER).hostname)
}

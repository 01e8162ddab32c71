import { z } from 'zod'
import { asciiDomain } from '../stores/people/accounts.ts'

// RFC 5321 §4.1.2, RFC 6531 §3.3: letters of any script, but no quoted strings, which few mail servers accept.
const localPart = /^(?!\.)(?!.*\.\.)[\p{L}\p{M}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}(?<!\.)$/u
const domainName = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$/

/** An email address, with letters of any script on both sides of the @ (RFC 6531). */
export const emailAddress = z
  .string()
  .max(320)
  .refine(isEmailAddress, 'must be an email address, such as ada@example.com')
  .meta({ format: 'idn-email' })

function isEmailAddress(text: string): boolean {
  const at = text.lastIndexOf('@')
  const local = text.slice(0, at)
  const isShort = Buffer.byteLength(local) <= 64
  return at > 0 && isShort && localPart.test(local) && domainName.test(asciiDomain(text.slice(at + 1)))
}

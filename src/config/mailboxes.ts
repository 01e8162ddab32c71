import { domainToASCII } from 'node:url'
import { z } from 'zod'

/** The name and the address that a mail comes from or goes to. */
export type Mailbox = { name: string | undefined; address: string }

const local = /^(?!\.)(?!.*\.\.)[\p{L}\p{M}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}(?<!\.)$/u
const domain = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/

/**
 * Returns an address as mail servers expect it, with its domain as in DNS (RFC 5891 §4.4). `undefined` if the text is not
 * one address: it may contain nothing that ends a header or a command of SMTP.
 */
export function wireAddress(text: string): string | undefined {
  const at = text.lastIndexOf('@')
  const name = text.slice(0, at).normalize('NFC')
  const given = text.slice(at + 1)
  if (at < 1 || Buffer.byteLength(name) > 64 || !local.test(name)) return undefined
  // Node reads a domain as part of a URL: it would end one at a slash, and decode percent signs.
  if (!/^[\p{L}\p{M}\p{N}\p{Join_Control}.-]+$/u.test(given)) return undefined
  const host = domainToASCII(given)
  return domain.test(host) ? `${name}@${host}` : undefined
}

/** A mailbox, such as `no-reply@example.com` or `Example <no-reply@example.com>`. */
export const mailbox = z.string().transform((text, context): Mailbox => {
  const found = readMailbox(text)
  if (found.address !== undefined && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(found.name ?? '')) {
    return { name: found.name, address: found.address }
  }
  context.addIssue({
    code: 'custom',
    message: 'must be one address, such as no-reply@example.com or Example <no-reply@example.com>',
  })
  return z.NEVER
})

function readMailbox(text: string): { name: string | undefined; address: string | undefined } {
  const parts = /^\s*(?<name>"[^"\\]*"|[^<>"]*?)\s*<(?<address>[^<>]+)>\s*$/.exec(text)?.groups
  if (!parts) return { name: undefined, address: wireAddress(text.trim()) }
  const name = (parts['name'] ?? '').replace(/^"|"$/g, '').trim()
  return { name: name === '' ? undefined : name, address: wireAddress((parts['address'] ?? '').trim()) }
}

/** Says whether the value of a setting is a mailbox. */
export const isMailbox = (value: unknown): value is Mailbox =>
  typeof value === 'object' && value !== null && 'address' in value && 'name' in value

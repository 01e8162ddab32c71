import { domainToASCII } from 'node:url'
import type { z } from 'zod'
import { list } from './lists.ts'

/** A comma-separated list of domains, as in DNS. `*.example.com` is every domain below example.com. */
export const domains = list
  .transform((entries) => entries.map(asInDns))
  .superRefine((entries, context) => {
    const wrong = entries.find((entry) => !/^(\*\.)?([a-z0-9-]+\.)+[a-z0-9-]+$/.test(entry))
    if (wrong !== undefined) context.addIssue({ code: 'custom', message: 'must be domains, such as example.com' })
  })

function asInDns(entry: string): string {
  const [, wildcard = '', domain = ''] = /^(\*\.)?(.*)$/.exec(entry) ?? []
  return wildcard + domainToASCII(domain)
}

/** Returns whether a domain, as in DNS, is one of these. */
export function isAmongDomains(domain: string, entries: readonly string[]): boolean {
  return entries.some((entry) => (entry.startsWith('*.') ? domain.endsWith(entry.slice(1)) : domain === entry))
}

export type Domains = z.output<typeof domains>

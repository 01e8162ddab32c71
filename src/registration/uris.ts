import { isIPv4 } from 'node:net'
import type { PolicyRules } from './rules.ts'

const loopbackHosts = ['127.0.0.1', '[::1]', 'localhost']

// RFC 1123 §2.1, without the trailing dot that would make a second spelling of the same name.
const hostName = /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

/**
 * Reads a URI of which there is only one reading, or says what is wrong with it.
 *
 * Programs disagree about user information, backslashes, encoded separators and dot segments, so what one checks is not
 * where another goes. Therefore the text has to be what the URL Standard would write for it. The one difference that is
 * let be is a missing slash after the host, which everybody reads the same way: `https://rp.example`.
 */
export function read(uri: string): { url: URL } | { problem: string } {
  if (/[^\x21-\x7e]|\\/.test(uri)) {
    return { problem: 'must be ASCII without spaces or backslashes, with international host names as punycode' }
  }
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*@/i.test(uri)) return { problem: 'must not contain user information' }
  if (/%(?![0-9a-f]{2})|%[01][0-9a-f]|%7f/i.test(uri)) {
    return { problem: 'must not contain control characters or a percent sign that encodes nothing' }
  }
  const url = URL.parse(uri)
  if (!url) return { problem: 'must be absolute URIs' }
  if (url.port === '0') return { problem: 'must not name port 0' }
  const withoutSlash = url.pathname === '/' ? `${url.origin}${url.search}${url.hash}` : undefined
  if (uri !== url.href && uri !== withoutSlash) return { problem: `must be in normal form: ${url.href}` }
  if (/%(2e|2f|5c|25)/i.test(url.pathname)) {
    return { problem: 'must not percent-encode dots, slashes, backslashes or percent signs in the path' }
  }
  // RFC 3986 §3.3 lets a segment have parameters, and some servers drop them before they resolve the dots.
  if (/\/\.{1,2};/.test(url.pathname)) return { problem: 'must not contain dot segments' }
  return { url }
}

/** What is wrong with the host of an https URL, if anything. */
export function hostProblem({ hostname }: URL): string | undefined {
  const isAddress = hostname.startsWith('[') || isIPv4(hostname) || /(^|\.)localhost$/.test(hostname)
  if (isAddress) return 'must name a host, not an address'
  return hostName.test(hostname)
    ? undefined
    : 'must name a host of letters, digits, hyphens and dots, not ending in one'
}

/** Whether a URL is of the device it is opened on (RFC 8252 §7.3). */
export function isLoopback({ protocol, hostname }: URL): boolean {
  return /^https?:$/.test(protocol) && loopbackHosts.includes(hostname)
}

/** Whether a host is one of these. `*.example.com` is every host below example.com, and not itself. */
export function isListed({ hostname }: URL, hosts: PolicyRules['uri_hosts']): boolean {
  if (hosts === '*') return true
  return hosts.some((host) => (host.startsWith('*.') ? hostname.endsWith(host.slice(1)) : hostname === host))
}

import { isIPv4 } from 'node:net'
import type { Hosts } from './uri-rules.ts'

const loopbackHosts = ['127.0.0.1', '[::1]', 'localhost']

// RFC 1123 §2.1, without the trailing dot, which would be a second spelling of the same name.
const hostName = /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

/**
 * Reads a URI that every program reads in the same way, or says what is wrong with it.
 *
 * Programs disagree about user information, backslashes, encoded separators and dot segments, so one may check an
 * address and another go elsewhere. A URI must therefore be spelled as the URL Standard writes it. The one exception is
 * a missing slash after the host, as in `https://rp.example`, which no program misreads.
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

/** Says what is wrong with the host of an https URL, if anything. */
export function hostProblem({ hostname }: URL): string | undefined {
  const isAddress = hostname.startsWith('[') || isIPv4(hostname) || /(^|\.)localhost$/.test(hostname)
  if (isAddress) return 'must name a host, not an address'
  return hostName.test(hostname)
    ? undefined
    : 'must name a host of letters, digits, hyphens and dots, not ending in one'
}

/** Says whether a URL is on the device that opens it (RFC 8252 §7.3). */
export function isLoopback({ protocol, hostname }: URL): boolean {
  return /^https?:$/.test(protocol) && loopbackHosts.includes(hostname)
}

/** Says whether a host is in a list. `*.example.com` stands for every host below example.com, but not for itself. */
export function isListed({ hostname }: URL, hosts: Hosts): boolean {
  if (hosts === '*') return true
  return hosts.some((host) => (host.startsWith('*.') ? hostname.endsWith(host.slice(1)) : hostname === host))
}

import type { Hosts, UriRules } from './uri-rules.ts'
import { hostProblem, isListed, isLoopback, read } from './uris.ts'

/** The rule that a URI breaks, and what its member must be instead. */
export type UriProblem = { rule: string; message: string }

export type UriContext = {
  rules: UriRules
  isNative: boolean
  /** Whether the issuer is on the loopback interface, where the clients being developed with it are too. */
  isLoopbackIssuer: boolean
}

/** Says what is wrong with a URI of a member, if anything is. */
export type UriRule = (uri: string, context: UriContext) => UriProblem | undefined

/** The rule that a URI breaks when no policy can allow it. */
export const syntaxRule = 'uri_syntax'

// RFC 8252 §7.1: a private-use scheme is a reversed domain name, so it contains a dot, and no host follows it.
const reversedDomain = /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/
const singleSlash = /^[^:/]*:\/(?!\/)/

/** Says why a redirect URI is not allowed, if it is not (RFC 7591 §5, RFC 8252 §7, RFC 9700 §4.1). */
export function redirectUriProblem(uri: string, context: UriContext): UriProblem | undefined {
  const { rules, isNative } = context
  const found = read(uri)
  if ('problem' in found) return syntax(found.problem)
  const { url } = found
  if (uri.includes('*')) return syntax('must not contain wildcards')
  if (uri.includes('#')) return syntax('must not contain a fragment') // RFC 6749 §3.1.2
  if (isLoopback(url)) return loopbackProblem(url, context)
  // An administrator listed the scheme, so nothing more is checked (RFC 8252 §8.4 describes the risk).
  if (isNative && rules.redirect_uris.dangerous_schemes.includes(url.protocol.slice(0, -1))) return undefined
  if (/^https?:$/.test(url.protocol) && rules.redirect_uris.private_hosts.includes(url.hostname)) return undefined
  if (url.protocol === 'https:') {
    if (!rules.redirect_uris.https) return { rule: 'redirect_uris.https', message: 'must not use https' }
    return httpsProblem(url, 'redirect_uris.hosts', rules.redirect_uris.hosts)
  }
  if (url.protocol === 'http:') return { rule: 'redirect_uris.https', message: 'must use https' }
  if (!isNative) return syntax('of a web client must use https')
  if (!reversedDomain.test(url.protocol)) return syntax('must use a reversed domain name as scheme, or https')
  if (!singleSlash.test(uri)) return syntax('with a scheme of its own must not name a host: write scheme:/path')
  if (rules.redirect_uris.private_use_schemes) return undefined
  return { rule: 'redirect_uris.private_use_schemes', message: 'must not use a scheme of its own' }
}

/**
 * Says whether all of these addresses can only belong to an app on the person's own device (RFC 8252 §7.1, §7.3). A
 * client with no others is native unless it says otherwise. Loopback addresses do not count where the policy allows
 * them to web clients.
 */
export function areOfNativeApp(
  uris: readonly string[],
  { redirect_uris: rules }: Pick<UriRules, 'redirect_uris'>,
): boolean {
  const isOfApp = (url: URL) =>
    reversedDomain.test(url.protocol) ||
    rules.dangerous_schemes.includes(url.protocol.slice(0, -1)) ||
    (url.protocol === 'http:' && isLoopback(url) && rules.loopback !== 'any')
  const urls = uris.map((uri) => URL.parse(uri))
  return urls.length > 0 && urls.every((url) => url !== null && isOfApp(url))
}

/** Says why a URI to return to after signing out is not allowed, if it is not (RP-Initiated Logout 1.0 §3.1). */
export function postLogoutRedirectUriProblem(uri: string, context: UriContext): UriProblem | undefined {
  const { rules } = context
  const hosts = rules.uri_hosts
  const problem = redirectUriProblem(uri, {
    ...context,
    rules: { ...rules, redirect_uris: { ...rules.redirect_uris, hosts } },
  })
  return problem?.rule === 'redirect_uris.hosts' ? { ...problem, rule: 'uri_hosts' } : problem
}

/** Says why an address that is shown, linked to or fetched is not allowed, if it is not. */
export function webUriProblem(uri: string, { rules, isLoopbackIssuer }: UriContext): UriProblem | undefined {
  const found = read(uri)
  if ('problem' in found) return syntax(found.problem)
  if (isLoopback(found.url) && isLoopbackIssuer) return undefined
  if (found.url.protocol !== 'https:') return syntax('must be an https URL')
  return httpsProblem(found.url, 'uri_hosts', rules.uri_hosts)
}

function loopbackProblem(url: URL, { rules, isNative, isLoopbackIssuer }: UriContext): UriProblem | undefined {
  const { loopback } = rules.redirect_uris
  const isOfApp = isNative && url.protocol === 'http:'
  if (isLoopbackIssuer || loopback === 'any' || (loopback === 'native' && isOfApp)) return undefined
  const message =
    loopback === 'native' ? 'on loopback must use http and belong to a native app' : 'must not be on loopback'
  return { rule: 'redirect_uris.loopback', message }
}

function httpsProblem(url: URL, rule: string, hosts: Hosts): UriProblem | undefined {
  const problem = hostProblem(url)
  if (problem) return syntax(problem)
  return isListed(url, hosts) ? undefined : { rule, message: 'must be on a host that the policy lists' }
}

function syntax(message: string): UriProblem {
  return { rule: syntaxRule, message }
}

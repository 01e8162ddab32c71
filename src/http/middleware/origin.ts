import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** The client's address, and why a request is refused, if it is. */
export type Pinned = { address: string; refusal?: string }

/**
 * Pins a request to the issuer before anything reads its host: endpoint addresses, cookies and links are
 * made from it. A request for another host is refused. Forwarded headers count only from trusted proxies,
 * and are then replaced by what was checked, so that whatever reads them later cannot be misled.
 */
export function createOriginPin({
  issuer,
  trustedProxies,
  onUntrustedProxy,
}: {
  issuer: string
  trustedProxies: readonly string[]
  /** Called once, with the first address that forwards requests without being trusted to. */
  onUntrustedProxy?: ((address: string) => void) | undefined
}) {
  let isTold = onUntrustedProxy === undefined
  const { host, protocol } = new URL(issuer)
  const scheme = protocol.slice(0, -1)
  const trusted = new BlockList()
  for (const range of trustedProxies) {
    const [network = '', prefix] = range.split('/')
    const family = isIP(network) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) trusted.addAddress(network, family)
    else trusted.addSubnet(network, Number(prefix), family)
  }
  const isTrusted = (address: string) =>
    isIP(address) !== 0 && trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

  return (req: IncomingMessage): Pinned => {
    const peer = plainAddress(req.socket.remoteAddress ?? '')
    const isProxied = isTrusted(peer)
    if (!isTold && !isProxied && req.headers['x-forwarded-for'] !== undefined) {
      isTold = true
      onUntrustedProxy?.(peer)
    }
    const header = (name: string) => {
      const value = isProxied ? req.headers[name] : undefined
      return typeof value === 'string' && value !== '' ? value : undefined
    }
    const isForwarded = forwarding.some((name) => req.headers[name] !== undefined)
    const forwardedHost = header('x-forwarded-host')
    const forwardedProto = header('x-forwarded-proto')
    const address = clientAddress(peer, isProxied ? req.headers['x-forwarded-for'] : undefined, isTrusted)

    const target = targetOf(req)
    const refusal = refusalOf()
    if (refusal === undefined) req.url = target.path
    req.headers.host = host
    req.headers['x-forwarded-host'] = host
    req.headers['x-forwarded-proto'] = scheme
    req.headers['x-forwarded-for'] = address
    delete req.headers['forwarded']
    return { address, ...(refusal !== undefined && { refusal }) }

    function refusalOf(): string | undefined {
      const isOwn = (written: string) => hostIn(written, protocol) === host
      // Every proxy that adds to the list has to have been asked for this server: the client may have begun it.
      const asked = (forwardedHost ?? req.headers.host ?? '').split(',')
      const hint = isForwarded ? '; a proxy in front must pass the Host header on' : ''
      if (!asked.every(isOwn)) return `This server is ${issuer}. It was asked as ${quoted(asked.join(','))}${hint}.`
      if (target.host !== undefined && !isOwn(target.host)) {
        return `This server is ${issuer}. It was asked for ${quoted(target.host)}.`
      }
      // The first of several is that of the outermost proxy, which the browser talks to.
      const [outermost = scheme] = forwardedProto?.split(',') ?? []
      if (outermost.trim().toLowerCase() === scheme) return undefined
      return `This server is ${issuer}; it was asked over ${quoted(forwardedProto ?? '')}.`
    }
  }
}

const forwarding = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']
const longestQuoted = 300 // characters of what somebody else wrote

const quoted = (text: string) => JSON.stringify(text.slice(0, longestQuoted))

/**
 * The host that is written in a header, as URLs have it: without the port that goes without saying, and in lower case
 * (RFC 3986 §6.2.3, RFC 9110 §4.2.3). A final dot or another port is another host.
 */
function hostIn(written: string, protocol: string): string | undefined {
  const trimmed = written.trim()
  return /^[\w.:[\]-]+$/.test(trimmed) ? URL.parse(`${protocol}//${trimmed}`)?.host : undefined
}

/** A request line may name a host of its own, and then that one counts (RFC 9112 §3.2.2). */
function targetOf({ url = '/' }: IncomingMessage): { host: string | undefined; path: string } {
  if (url.startsWith('/') || url === '*') return { host: undefined, path: url }
  const { pathname = '/', search = '' } = URL.parse(url) ?? {}
  return { host: /^https?:\/\/([^/?#]*)/i.exec(url)?.[1] ?? '', path: pathname + search }
}

/** The right-most address that is not a trusted proxy: whatever stands further left, the client wrote itself. */
function clientAddress(
  peer: string,
  forwardedFor: string | string[] | undefined,
  isTrusted: (address: string) => boolean,
): string {
  const chain = [forwardedFor ?? []]
    .flat()
    .join(',')
    .split(',')
    .map((part) => plainAddress(part.trim()))
    .filter(Boolean)
  let address = peer
  for (const hop of chain.reverse()) {
    if (!isTrusted(address) || isIP(hop) === 0) break
    address = hop
  }
  return address
}

/** An address without what some proxies write around it: a port, the brackets of that, and the IPv6 form of IPv4. */
function plainAddress(written: string): string {
  const [, bracketed, dotted] = /^(?:\[(.+)\](?::\d+)?|([\d.]+):\d+)$/.exec(written) ?? []
  const address = bracketed ?? dotted ?? written
  return /^::ffff:/i.test(address) && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}

import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

export type Pinned = { address: string } | { refusal: string }

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
    const forwardedHost = header('x-forwarded-host')
    const forwardedProto = header('x-forwarded-proto')
    const address = clientAddress(peer, isProxied ? req.headers['x-forwarded-for'] : undefined, isTrusted)

    if ((forwardedHost ?? req.headers.host) !== host) {
      return {
        refusal: `This server is ${issuer}. It was asked as ${JSON.stringify(forwardedHost ?? req.headers.host ?? '')}; a proxy in front must pass the Host header on.`,
      }
    }
    const target = targetOf(req)
    if (target.host !== undefined && target.host !== host) {
      return { refusal: `This server is ${issuer}. It was asked for ${JSON.stringify(target.host)}.` }
    }
    if (forwardedProto !== undefined && forwardedProto !== scheme) {
      return { refusal: `This server is ${issuer}; it was asked over ${JSON.stringify(forwardedProto)}.` }
    }

    req.url = target.path
    req.headers.host = host
    req.headers['x-forwarded-host'] = host
    req.headers['x-forwarded-proto'] = scheme
    req.headers['x-forwarded-for'] = address
    delete req.headers['forwarded']
    return { address }
  }
}

/** A request line may name a host of its own, and then that one counts (RFC 9112 §3.2.2). */
function targetOf({ url = '/' }: IncomingMessage): { host: string | undefined; path: string } {
  if (url.startsWith('/') || url === '*') return { host: undefined, path: url }
  const { host = '', pathname = '/', search = '' } = URL.parse(url) ?? {}
  return { host, path: pathname + search }
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

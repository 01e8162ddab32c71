import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { Mismatch } from '../../views/pages/elsewhere.ts'

/** The client's address, and how a rejected request differs from the issuer. */
export type Pinned = { address: string; mismatch?: Mismatch }

/**
 * Pins a request to the issuer before anything reads its host: endpoint addresses, cookies and links are made from it.
 * A request for another host is rejected. Forwarded headers count only from trusted proxies. The checked values replace
 * them, so that later code cannot be misled.
 */
export function createOriginPin({
  issuer,
  trustedProxies,
  onUntrustedProxy,
}: {
  issuer: string
  trustedProxies: readonly string[]
  /** Is called once, with the first address that forwards requests and is not a trusted proxy. */
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
    const mismatch = findMismatch()
    if (mismatch === undefined) req.url = target.path
    req.headers.host = host
    req.headers['x-forwarded-host'] = host
    req.headers['x-forwarded-proto'] = scheme
    req.headers['x-forwarded-for'] = address
    delete req.headers['forwarded']
    return { address, ...(mismatch !== undefined && { mismatch }) }

    function findMismatch(): Mismatch | undefined {
      const isOwn = (written: string) => hostIn(written, protocol) === host
      // Each proxy appends a host to the list, and the client may have started it: every host must be this server's.
      const asked = (forwardedHost ?? req.headers.host ?? '').split(',')
      if (!asked.every(isOwn)) return mismatchOf('host', asked.join(','), isForwarded)
      if (target.host !== undefined && !isOwn(target.host)) return mismatchOf('host', target.host)
      // The first protocol is that of the outermost proxy, which the browser connects to.
      const [outermost = scheme] = forwardedProto?.split(',') ?? []
      if (outermost.trim().toLowerCase() === scheme) return undefined
      return mismatchOf('protocol', forwardedProto ?? '')
    }
  }
}

/** Tells programs and the log why a request is rejected. */
export function reasonOf(issuer: string, { kind, received, isByProxy }: Mismatch): string {
  const difference = `The request ${kind === 'host' ? 'was for' : 'came over'} ${JSON.stringify(received)}`
  return `This server is ${issuer}. ${difference}${isByProxy ? '; a proxy in front must pass on the Host header' : ''}.`
}

const forwarding = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']
const longestReceived = 300 // characters of somebody else's text

const mismatchOf = (kind: Mismatch['kind'], received: string, isByProxy = false): Mismatch => ({
  kind,
  received: received.slice(0, longestReceived),
  isByProxy,
})

/**
 * Returns the host of a header in the form that URLs have: in lower case, without the default port (RFC 3986 §6.2.3,
 * RFC 9110 §4.2.3). A final dot or another port makes another host.
 */
function hostIn(written: string, protocol: string): string | undefined {
  const trimmed = written.trim()
  return /^[\w.:[\]-]+$/.test(trimmed) ? URL.parse(`${protocol}//${trimmed}`)?.host : undefined
}

/**
 * Returns the target of a request line. If it names a host, that host counts instead of the header (RFC 9112 §3.2.2).
 */
function targetOf({ url = '/' }: IncomingMessage): { host: string | undefined; path: string } {
  if (url.startsWith('/') || url === '*') return { host: undefined, path: url }
  const { pathname = '/', search = '' } = URL.parse(url) ?? {}
  return { host: /^https?:\/\/([^/?#]*)/i.exec(url)?.[1] ?? '', path: pathname + search }
}

/** Returns the rightmost address that is not a trusted proxy. The client may have written everything to its left. */
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

/** Returns an address without the port, the brackets or the IPv6 form of IPv4 that some proxies add. */
function plainAddress(written: string): string {
  const [, bracketed, dotted] = /^(?:\[(.+)\](?::\d+)?|([\d.]+):\d+)$/.exec(written) ?? []
  const address = bracketed ?? dotted ?? written
  return /^::ffff:/i.test(address) && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}

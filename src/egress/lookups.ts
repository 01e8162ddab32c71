import { lookup, Resolver } from 'node:dns/promises'

/** Finds the addresses of a host name. Rejects or returns an empty list if it has none. */
export type Lookup = (hostname: string, signal: AbortSignal) => Promise<string[]>

/**
 * Looks names up in the DNS itself, without the hosts file, which names only internal hosts. Unlike getaddrinfo it can
 * be cancelled: an unresponsive name server would hold a thread of the pool that also hashes passwords.
 */
export function inDns(servers?: readonly string[]): Lookup {
  return async (hostname, signal) => {
    const resolver = new Resolver({ timeout: 1_000, tries: 2 })
    if (servers) resolver.setServers(servers)
    signal.addEventListener('abort', () => resolver.cancel(), { once: true })
    const [ipv4, ipv6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)])
    const addresses = [ipv4, ipv6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (addresses.length === 0 && ipv4.status === 'rejected') throw ipv4.reason
    return addresses
  }
}

/** Looks names up as other programs on this machine do, including the hosts file. */
export const onThisMachine: Lookup = async (hostname) => {
  const found = await lookup(hostname, { all: true })
  return found.map(({ address }) => address)
}

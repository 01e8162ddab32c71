import { lookup, Resolver } from 'node:dns/promises'

/** Finds the addresses of a host name. Rejects, or finds none, when there are none. */
export type Lookup = (hostname: string, signal: AbortSignal) => Promise<string[]>

/**
 * Asks the DNS itself and no hosts file, in which only what is inside has a name. Unlike getaddrinfo it can be given
 * up: a name server that does not answer would hold a thread of the pool in which passwords are hashed, too.
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

/** Asks as everything else on this machine does, hosts file included. */
export const onThisMachine: Lookup = async (hostname) => {
  const found = await lookup(hostname, { all: true })
  return found.map(({ address }) => address)
}

import { isIP } from 'node:net'
import { isSpecialUse } from './addresses.ts'
import { inDns, type Lookup, onThisMachine } from './lookups.ts'

export type DestinationPolicy = {
  /** For a provider that is itself on localhost: there, so are the clients being developed. */
  allowsLoopback: boolean
  /** Hosts, as a URL names them, that may be at any address. */
  privateHosts: readonly string[]
  lookup?: Lookup
}

const loopbackHosts = ['localhost', '127.0.0.1', '[::1]']
const publicly = inDns()

/**
 * The addresses to connect to for a URL, and no others: each of them was checked.
 *
 * A name is looked up once, here, so that it cannot mean one address when it is checked and another when it is
 * connected to. One special-use address among several refuses them all: whoever says that a name is inside as well as
 * outside is not to be helped. A URL has one spelling of an IPv4 address (WHATWG URL §3.5), whatever its author wrote.
 *
 * @throws Error with the reason, which is for the log alone.
 */
export async function addressesFor(
  { protocol, hostname, host }: URL,
  { allowsLoopback, privateHosts, lookup }: DestinationPolicy,
  signal: AbortSignal,
): Promise<string[]> {
  const isDeveloped = allowsLoopback && loopbackHosts.includes(hostname)
  if (protocol !== 'https:' && !(isDeveloped && protocol === 'http:')) throw new Error(`${protocol} is not https:`)
  const isInside = isDeveloped || privateHosts.includes(host)

  const literal = hostname.replace(/^\[|\]$/g, '')
  const find = lookup ?? (isInside ? onThisMachine : publicly)
  const addresses = isIP(literal) ? [literal] : await unlessAborted(signal, find(hostname, signal))
  if (addresses.length === 0) throw new Error(`${hostname} has no address`)
  const special = isInside ? undefined : addresses.find(isSpecialUse)
  if (special !== undefined) throw new Error(`${hostname} is at ${special}, which is not an address of the Internet`)
  return addresses
}

/** Not every lookup can be given up; this no longer waits for one. */
function unlessAborted<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}

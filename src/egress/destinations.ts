import { isIP } from 'node:net'
import { isSpecialUse } from './addresses.ts'
import { inDns, type Lookup, onThisMachine } from './lookups.ts'

export type DestinationPolicy = {
  /** Whether loopback is allowed: if the provider itself is on localhost, clients under development are, too. */
  allowsLoopback: boolean
  /** Hosts in the spelling of a URL that may be at any address. */
  privateHosts: readonly string[]
  lookup?: Lookup
}

const loopbackHosts = ['localhost', '127.0.0.1', '[::1]']
const publicly = inDns()

/**
 * Returns the addresses to connect to for a URL. Each of them was checked, and no other may be used.
 *
 * It looks a name up once, so that the name cannot mean one address for the check and another for the connection. One
 * special-use address among several refuses all of them, because a name that is both inside and outside is suspicious.
 * A URL has one spelling of an IPv4 address (WHATWG URL §3.5), whatever its author wrote.
 *
 * @throws Error with the reason, which is only for the log.
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

/** Stops waiting when the signal aborts: not every lookup can be cancelled. */
function unlessAborted<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}

import { isIPv6 } from 'node:net'

/** A network that attempts are counted by. Its allowance is a multiple of that of a single address. */
export type CountedNetwork = { network: string; allowance: number }

// A household or a machine gets a /64, and a larger site a /56 or a /48 (RFC 6177 §2), which contains any number of /64
// networks. A larger network is allowed more, because it may belong to a provider with a customer in every /64.
const prefixes = [
  { bits: 64, allowance: 1 },
  { bits: 56, allowance: 2 },
  { bits: 48, allowance: 4 },
]

/**
 * Returns the networks of an address, the narrowest first: the address itself for IPv4; the /64, /56 and /48 for IPv6.
 * Neighbouring IPv4 addresses mostly belong to different customers, so no wider network is counted there.
 */
export function networksOf(address: string): CountedNetwork[] {
  if (!isIPv6(address)) return [{ network: address, allowance: 1 }]
  return prefixes.map(({ bits, allowance }) => ({ network: prefixOf(address, bits), allowance }))
}

/** Returns the widest of these networks, which is that of a whole site. */
export function widestNetworkOf(address: string): string {
  return networksOf(address).at(-1)?.network ?? address
}

function prefixOf(address: string, bits: number): string {
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const missing = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...right]
  const kept = groups.slice(0, Math.ceil(bits / 16)).map((group) => Number.parseInt(group, 16))
  const spare = (16 - (bits % 16)) % 16
  const last = kept.length - 1
  kept[last] = ((kept[last] ?? 0) >> spare) << spare
  return `${kept.map((group) => group.toString(16)).join(':')}::/${bits}`
}

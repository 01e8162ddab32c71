import { isIPv6 } from 'node:net'

/** A network that something is counted by, and how many times the allowance of an address it has. */
export type CountedNetwork = { network: string; allowance: number }

// A household or a machine is given a /64, and larger sites a /56 or a /48 (RFC 6177 §2): each has smaller ones without
// end. A larger one is allowed more, because it may as well be a provider's, with a customer in every /64.
const prefixes = [
  { bits: 64, allowance: 1 },
  { bits: 56, allowance: 2 },
  { bits: 48, allowance: 4 },
]

/**
 * The networks of an address, the narrowest first: an IPv4 address alone, or the /64, /56 and /48 of an IPv6 one. IPv4
 * addresses beside each other mostly belong to different customers, so nothing wider is counted there.
 */
export function networksOf(address: string): CountedNetwork[] {
  if (!isIPv6(address)) return [{ network: address, allowance: 1 }]
  return prefixes.map(({ bits, allowance }) => ({ network: prefixOf(address, bits), allowance }))
}

/** The widest of these networks: that of a whole site. */
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

import { BlockList, isIP } from 'node:net'

// The entries of the IANA IPv4 Special-Purpose Address Registry (RFC 6890), and ranges that no host can have.
// biome-ignore format: it is a table
const ipv4 = [
  ['0.0.0.0', 8],        // this network; on Linux the same as loopback (RFC 791 §3.2)
  ['10.0.0.0', 8],       // private use (RFC 1918 §3)
  ['100.64.0.0', 10],    // carrier-grade NAT (RFC 6598 §7)
  ['127.0.0.0', 8],      // loopback (RFC 1122 §3.2.1.3)
  ['168.63.129.16', 32], // not of IANA: at this public address, Azure serves each machine information about itself
  ['169.254.0.0', 16],   // link local (RFC 3927 §2.1), where clouds serve machines their credentials
  ['172.16.0.0', 12],    // private use (RFC 1918 §3)
  ['192.0.0.0', 24],     // IETF protocol assignments (RFC 6890 §2.1)
  ['192.0.2.0', 24],     // documentation (RFC 5737 §3)
  ['192.31.196.0', 24],  // AS112 (RFC 7535 §4)
  ['192.52.193.0', 24],  // AMT relays (RFC 7450 §7)
  ['192.88.99.0', 24],   // 6to4 relays, deprecated (RFC 7526 §4)
  ['192.168.0.0', 16],   // private use (RFC 1918 §3)
  ['192.175.48.0', 24],  // AS112 (RFC 7534 §3)
  ['198.18.0.0', 15],    // benchmarking (RFC 2544 §C.2.2)
  ['198.51.100.0', 24],  // documentation (RFC 5737 §3)
  ['203.0.113.0', 24],   // documentation (RFC 5737 §3)
  ['224.0.0.0', 4],      // multicast (RFC 5771 §3)
  ['240.0.0.0', 4],      // reserved, and the broadcast address (RFC 1112 §4, RFC 919 §7)
] as const

// The only IPv6 range that IANA has assigned to hosts of the Internet (RFC 4291 §2.4). Outside it are the unspecified
// and the loopback address, multicast, link-local, site-local and unique-local addresses, and all that carry an IPv4
// address: compatible (::/96), mapped (::ffff:0:0/96), translated (::ffff:0:0:0/96) and NAT64 (64:ff9b::/96 and
// 64:ff9b:1::/48).
const globalUnicast = ['2000::', 3] as const

// The entries of the IANA IPv6 Special-Purpose Address Registry within that range.
// biome-ignore format: it is a table
const ipv6 = [
  ['2001::', 23],        // IETF protocol assignments (RFC 2928 §2), among them Teredo, which carries IPv4 (RFC 4380 §4)
  ['2001:db8::', 32],    // documentation (RFC 3849 §2)
  ['2002::', 16],        // 6to4, which carries IPv4 (RFC 3056 §2)
  ['2620:4f:8000::', 48], // AS112 (RFC 7534 §3)
  ['3ffe::', 16],        // 6bone, given back (RFC 3701 §2)
  ['3fff::', 20],        // documentation (RFC 9637 §2)
] as const

const assigned = new BlockList()
assigned.addSubnet(...globalUnicast, 'ipv6')

const special = new BlockList()
for (const [network, prefix] of ipv4) special.addSubnet(network, prefix, 'ipv4')
for (const [network, prefix] of ipv6) special.addSubnet(network, prefix, 'ipv6')

/**
 * Returns whether an address is not that of a host on the Internet: loopback, private, link-local, a carrier of another
 * address, or reserved. Text that is not an address counts as special, too.
 */
export function isSpecialUse(address: string): boolean {
  const version = isIP(address)
  if (version === 4) return special.check(address, 'ipv4')
  if (version === 6) return !assigned.check(address, 'ipv6') || special.check(address, 'ipv6')
  return true
}

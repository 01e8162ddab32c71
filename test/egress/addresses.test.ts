import { describe, expect, test } from 'vitest'
import { isSpecialUse } from '../../src/egress/addresses.ts'

describe('RFC 6890 §2.2: an address is special', () => {
  // biome-ignore format: it is a table
  test.each([
    ['this network', '0.0.0.0', '0.255.255.255'],
    ['private', '10.0.0.0', '10.255.255.255'],
    ['carrier-grade NAT', '100.64.0.0', '100.127.255.255'],
    ['loopback', '127.0.0.1', '127.255.255.255'],
    ['link local, where clouds serve credentials of a machine', '169.254.0.0', '169.254.169.254'],
    ['private', '172.16.0.0', '172.31.255.255'],
    ['IETF protocol assignments', '192.0.0.0', '192.0.0.192'],
    ['documentation', '192.0.2.0', '192.0.2.255'],
    ['AS112', '192.31.196.1', '192.175.48.1'],
    ['AMT', '192.52.193.0', '192.52.193.255'],
    ['6to4 relay', '192.88.99.0', '192.88.99.255'],
    ['private', '192.168.0.0', '192.168.255.255'],
    ['benchmarking', '198.18.0.0', '198.19.255.255'],
    ['documentation', '198.51.100.0', '203.0.113.255'],
    ['multicast', '224.0.0.1', '239.255.255.255'],
    ['reserved or broadcast', '240.0.0.0', '255.255.255.255'],
    ['of Azure itself, although public', '168.63.129.16', '168.63.129.16'],
  ])('if it is IPv4 and %s', (_kind, ...addresses) => {
    for (const address of addresses) expect([address, isSpecialUse(address)]).toEqual([address, true])
  })

  // biome-ignore format: it is a table
  test.each([
    ['unspecified or loopback', '::', '::1'],
    ['IPv4-compatible', '::7f00:1', '::8.8.8.8'],
    ['IPv4-mapped, in either spelling', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:8.8.8.8', '0:0:0:0:0:ffff:0a00:1'],
    ['IPv4-translated', '::ffff:0:127.0.0.1', '::ffff:0:7f00:1'],
    ['NAT64', '64:ff9b::7f00:1', '64:ff9b::127.0.0.1', '64:ff9b:1::a00:1', '64:ff9b:1:ffff::1'],
    ['discard-only', '100::', '100:0:0:1::1'],
    ['Teredo', '2001::', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
    ['benchmarking or ORCHID', '2001:2::1', '2001:10::1', '2001:20::1', '2001:1ff:ffff::1'],
    ['documentation', '2001:db8::1', '3fff::1', '3fff:fff:ffff::1'],
    ['6to4', '2002:7f00:1::', '2002:a00:1::1', '2002:808:808::1'],
    ['AS112', '2620:4f:8000::1', '2620:4f:8000:ffff::1'],
    ['6bone', '3ffe::1', '3ffe:ffff::1'],
    ['in no allocated block', '4000::1', '1fff::1', '5f00::1', 'a000::1'],
    ['unique local, such as a cloud’s metadata', 'fc00::1', 'fd00:ec2::254', 'fdff:ffff::1'],
    ['link local, with a zone or without', 'fe80::1', 'febf::1', 'fe80::1%eth0', '::1%lo'],
    ['site local', 'fec0::1', 'feff::1'],
    ['multicast', 'ff02::1', 'ff0e::1'],
  ])('if it is IPv6 and %s', (_kind, ...addresses) => {
    for (const address of addresses) expect([address, isSpecialUse(address)]).toEqual([address, true])
  })

  test('if it is not an address at all', () => {
    for (const text of [
      '',
      'localhost',
      '127.1',
      '2130706433',
      '0x7f.0.0.1',
      '1.1.1.1.1',
      '[2606:4700::1111]',
      '1.1.1.1 ',
    ])
      expect([text, isSpecialUse(text)]).toEqual([text, true])
  })
})

test.each([
  ['1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'],
  ['168.63.129.15', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.0', '192.0.3.0'],
  ['192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '203.0.112.255', '203.0.114.0', '223.255.255.255'],
  [
    '2606:4700:4700::1111',
    '2001:200::1',
    '2001:4860:4860::8888',
    '2001:db7::1',
    '2001:db9::1',
    '2003::1',
    '3fff:1000::1',
  ],
])('addresses of hosts on the Internet are not special: %s, %s …', (...addresses) => {
  for (const address of addresses) expect([address, isSpecialUse(address)]).toEqual([address, false])
})

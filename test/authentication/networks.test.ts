import { describe, expect, test } from 'vitest'
import { networksOf } from '../../src/authentication/networks.ts'

describe('the networks that wrong passwords are counted by', () => {
  test.each([
    ['192.0.2.7', ['192.0.2.7']],
    ['2001:db8:1:2:3:4:5:6', ['2001:db8:1:2::/64', '2001:db8:1:0::/56', '2001:db8:1::/48']],
    ['2001:db8:1:abcd::1', ['2001:db8:1:abcd::/64', '2001:db8:1:ab00::/56', '2001:db8:1::/48']],
    ['2001:db8:1:2::9', ['2001:db8:1:2::/64', '2001:db8:1:0::/56', '2001:db8:1::/48']],
    ['2001:0DB8:0001:0002::9', ['2001:db8:1:2::/64', '2001:db8:1:0::/56', '2001:db8:1::/48']],
    ['fe80::1%eth0', ['fe80:0:0:0::/64', 'fe80:0:0:0::/56', 'fe80:0:0::/48']],
    ['::1', ['0:0:0:0::/64', '0:0:0:0::/56', '0:0:0::/48']],
    ['not an address', ['not an address']],
  ])('for %s are %s', (address, networks) => {
    expect(networksOf(address).map(({ network }) => network)).toEqual(networks)
  })

  test('have a larger allowance the wider they are', () => {
    const allowances = networksOf('2001:db8::1').map(({ allowance }) => allowance)
    expect(allowances).toEqual([...new Set(allowances)].toSorted((a, b) => a - b))
    expect(allowances.at(0)).toBe(1)
  })
})

import { isIP } from 'node:net'

/** Says what is wrong with an address or CIDR range, if anything is. */
export function rangeProblem(text: string): string | undefined {
  const [address = '', prefix, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || more.length > 0) {
    return 'must be addresses or CIDR ranges, comma separated, such as 10.0.0.0/8'
  }
  const longest = family === 4 ? 32 : 128
  if (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= longest)) return undefined
  return `has the range ${text}: after the slash of an IPv${family} address comes a number from 0 to ${longest}, such as ${address}/${longest} for one address`
}

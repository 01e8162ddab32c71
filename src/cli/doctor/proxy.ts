import type { Config } from '../../config/index.ts'
import { type Finding, ok, problem, warning } from './finding.ts'

const enough = 20 // events; fewer may well be of one person

/**
 * What can be known of the headers that a proxy forwards: whether any is believed, and whether the events of the audit
 * have come from different places since.
 */
export function proxyFindings(
  { ISSUER, TRUSTED_PROXIES }: Config,
  addresses: readonly string[] | undefined,
): Finding[] {
  if (ISSUER.startsWith('http:')) return [] // of a developer's own machine
  if (TRUSTED_PROXIES.length === 0) {
    return [
      warning(
        'TRUSTED_PROXIES is empty, while something has to end TLS in front: everybody behind it counts as one address',
        'Set TRUSTED_PROXIES to the address that it connects from, such as 127.0.0.1 or 10.0.0.0/8.',
      ),
    ]
  }
  const findings = [ok(`Forwarded headers are believed from ${TRUSTED_PROXIES.join(', ')}`)]
  const [first, ...others] = new Set(addresses)
  if (!addresses || addresses.length < enough || first === undefined) return findings
  return [
    ...findings,
    others.length > 0
      ? ok(`The last ${addresses.length} events came from ${others.length + 1} addresses`)
      : problem(
          `The last ${addresses.length} events all came from ${first}`,
          'If that is the proxy, or one before it: add it to TRUSTED_PROXIES, and have it send X-Forwarded-For.',
        ),
  ]
}

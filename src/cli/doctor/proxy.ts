import type { Config } from '../../config/index.ts'
import { type Finding, ok, problem, warning } from './finding.ts'

const enough = 20 // events; fewer may come from a single person

/**
 * Examines the headers that a proxy forwards: whether the server trusts any, and whether the last audit events came from
 * different addresses.
 */
export function proxyFindings(
  { ISSUER, TRUSTED_PROXIES }: Config,
  addresses: readonly string[] | undefined,
): Finding[] {
  if (ISSUER.startsWith('http:')) return [] // it runs on a developer's own machine
  if (TRUSTED_PROXIES.length === 0) {
    return [
      warning(
        'TRUSTED_PROXIES is empty, but a proxy must terminate TLS: all its visitors count as one address',
        'Set TRUSTED_PROXIES to the address that the proxy connects from, such as 127.0.0.1 or 10.0.0.0/8.',
      ),
    ]
  }
  const findings = [ok(`Forwarded headers are trusted from ${TRUSTED_PROXIES.join(', ')}`)]
  const [first, ...others] = new Set(addresses)
  if (!addresses || addresses.length < enough || first === undefined) return findings
  return [
    ...findings,
    others.length > 0
      ? ok(`The last ${addresses.length} events came from ${others.length + 1} addresses`)
      : problem(
          `The last ${addresses.length} events all came from ${first}`,
          'If that is the address of a proxy, add it to TRUSTED_PROXIES, and configure the proxy to send X-Forwarded-For.',
        ),
  ]
}

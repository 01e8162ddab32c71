import { z } from 'zod'
import { allLanguages } from '../../languages/index.ts'
import { pauseSeconds, seconds } from '../durations.ts'
import { issuer } from '../issuer.ts'
import { hostAsInUrls, isHost, list } from '../lists.ts'
import { rangeProblem } from '../proxies.ts'
import type { Given, Mistake } from './mistake.ts'

/** The address of the server, the hosts it trusts and how it stops. */
export const serverSettings = {
  ISSUER: issuer,
  PORT: z.coerce.number().int().min(0).max(65535).default(3000).describe('Port to listen on; 0 picks a free one.'),
  HOST: z.string().default('127.0.0.1').describe('Address to listen on. Use 0.0.0.0 in a container.'),
  TRUSTED_PROXIES: list
    .superRefine((ranges, context) => {
      const [problem] = ranges.flatMap((range) => rangeProblem(range) ?? [])
      if (problem) context.addIssue({ code: 'custom', message: problem })
    })
    .describe('Addresses or CIDR ranges of the proxies whose X-Forwarded-For is trusted, comma separated.'),
  EGRESS_PRIVATE_HOSTS: list
    .refine((hosts) => hosts.every(isHost), {
      error: 'must be whole host names, comma separated, each with its port unless that is 443: apps.internal:8443',
    })
    .transform((hosts) => hosts.map(hostAsInUrls))
    .describe(
      'Hosts at private addresses that the server may fetch from for clients, comma separated, each with its port unless that is 443. Anyone who can register a client can then make the server send requests to them from inside your network, so list no host that trusts its network.',
    ),
  DEFAULT_LANGUAGE: z
    .enum(allLanguages)
    .default('en')
    .describe('The language of pages and mails for people whose own language is not known or not offered.'),
  WORKERS: z.coerce.number().int().min(1).max(64).default(1).describe('Server processes that share the port.'),
  SHUTDOWN_TIMEOUT_SECONDS: seconds
    .default(15)
    .describe('How long requests in flight may take to finish before a stop is forced.'),
  SHUTDOWN_DELAY_SECONDS: pauseSeconds
    .default(0)
    .describe(
      'How long a stopping server keeps accepting connections after it reports that it is not ready, so that a load balancer can notice.',
    ),
}

/** Finds mistakes in the settings of the server taken together. */
export function* serverMistakes({
  PORT,
  ISSUER,
}: Given<typeof serverSettings>): Generator<Mistake<typeof serverSettings>> {
  if (PORT === 0 && !ISSUER) yield { name: 'ISSUER', message: 'is required when PORT is 0' }
}

import { z } from 'zod'
import { seconds } from './durations.ts'

const positive = z.coerce.number().int().positive()

/** How much strangers, and clients, may ask of a server. */
export const limits = {
  OPEN_REGISTRATIONS_PER_HOUR: positive
    .default(100)
    .describe(
      'How many registrations without a token may succeed in an hour. A fifth is left to networks without any.',
    ),
  OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR: positive
    .default(10)
    .describe(
      'How many of them may be tried from one IPv4 address or /64 network. A /56 has twice as many, a /48 four times.',
    ),
  REGISTRATION_CHANGES_PER_CLIENT_PER_HOUR: positive
    .default(60)
    .describe('How often in an hour a client may change or delete its own registration.'),
  REGISTRATION_CHANGES_PER_NETWORK_PER_HOUR: positive
    .default(600)
    .describe(
      'How many such changes may come in an hour from one IPv4 address or /64 network. A /56 has twice as many, a /48 four times.',
    ),
  KEPT_KILOBYTES_PER_NETWORK_PER_HOUR: positive
    .min(100)
    .default(40_000)
    .describe(
      'How much is kept in an hour for people who have not signed in yet and for clients without a secret, from one IPv4 address or /64 network: about 2 kilobytes a sign-in. A /56 has twice as much, a /48 four times. Raise it for an office of more than 15,000 sign-ins an hour, or where all requests come from one proxy that is not among TRUSTED_PROXIES.',
    ),
  KEPT_KILOBYTES_PER_CLIENT_PER_HOUR: positive
    .min(100)
    .default(400_000)
    .describe('How much is kept in an hour for one client that authenticates: its pushed requests and device codes.'),
  DEVICE_POLLING_SECONDS: seconds
    .default(5)
    .describe(
      'How long a device waits between asking for its tokens (RFC 8628 §3.2). One that asks sooner is told so.',
    ),
  MAX_CONNECTIONS: positive
    .min(10)
    .default(2_000)
    .describe('Connections each process keeps open. One more closes the one that has waited longest for its client.'),
}

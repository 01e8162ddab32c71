import { z } from 'zod'
import { seconds } from '../durations.ts'

const positive = z.coerce.number().int().positive()

/** The limits on what strangers and clients may ask of the server. */
export const limitSettings = {
  OPEN_REGISTRATIONS_PER_HOUR: positive
    .default(100)
    .describe(
      'How many registrations without a token may succeed in an hour. A fifth of them is reserved for networks that have had none.',
    ),
  OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR: positive
    .default(10)
    .describe(
      'How many registrations without a token one IPv4 address or /64 network may attempt in an hour. A /56 may attempt twice as many, a /48 four times.',
    ),
  REGISTRATION_CHANGES_PER_CLIENT_PER_HOUR: positive
    .default(60)
    .describe('How often in an hour a client may change or delete its own registration.'),
  REGISTRATION_CHANGES_PER_NETWORK_PER_HOUR: positive
    .default(600)
    .describe(
      'How many such changes one IPv4 address or /64 network may make in an hour. A /56 may make twice as many, a /48 four times.',
    ),
  KEPT_KILOBYTES_PER_NETWORK_PER_HOUR: positive
    .min(100)
    .default(40_000)
    .describe(
      'How much is stored in an hour for people who have not signed in yet and for clients without a secret, from one IPv4 address or /64 network: about 2 kilobytes for each sign-in. A /56 has twice as much, a /48 four times. Raise it for an office with more than 15,000 sign-ins an hour, or where all requests come from one proxy that is not among TRUSTED_PROXIES.',
    ),
  KEPT_KILOBYTES_PER_CLIENT_PER_HOUR: positive
    .min(100)
    .default(400_000)
    .describe('How much is stored in an hour for one client that authenticates: pushed requests and device codes.'),
  DEVICE_POLLING_SECONDS: seconds
    .default(5)
    .describe(
      'How long a device must wait between its requests for tokens (RFC 8628 §3.2). One that asks sooner receives slow_down.',
    ),
  MAX_CONNECTIONS: positive
    .min(10)
    .default(2_000)
    .describe(
      'Connections that each process keeps open. One more closes the connection that has waited longest for its client.',
    ),
}

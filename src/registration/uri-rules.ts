import { z } from 'zod'

// RFC 952, RFC 1123 §2.1, RFC 5890 §2.3: letters, digits and hyphens. International names are written in punycode.
const hostPattern = z
  .string()
  .regex(
    /^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
    'must be a host name in lower case, with *. before it for all hosts below it',
  )

/** Hosts that a policy allows, or `*` for any. */
export const hosts = z.union([z.literal('*'), z.array(hostPattern)])

const schemesOfBrowsers = ['javascript', 'vbscript', 'data', 'blob', 'file', 'about', 'view-source', 'filesystem']
const schemesOfTheWeb = ['http', 'https', 'ws', 'wss', 'ftp', 'mailto', 'tel', 'sms', 'intent', 'content', 'urn']
const isOfNoBrowser = (scheme: string) => ![...schemesOfBrowsers, ...schemesOfTheWeb].includes(scheme)

/** The rules of a policy about redirect URIs. */
export const redirectUriRules = z.strictObject({
  https: z.boolean().describe('Whether https redirect URIs are allowed.'),
  loopback: z
    .enum(['never', 'native', 'any'])
    .describe('Which application types may have redirect URIs on the loopback interface (RFC 8252 §7.3).'),
  private_use_schemes: z
    .boolean()
    .describe('Whether native apps may use a private-use scheme, which is a reversed domain name (RFC 8252 §7.1).'),
  dangerous_schemes: z
    .array(
      z
        .string()
        .regex(/^[a-z][a-z0-9+.-]*$/, 'must be a scheme in lower case, such as app.immich')
        .refine(isOfNoBrowser, 'must not be a scheme that browsers run or open themselves'),
    )
    .describe(
      'Further schemes that native apps may use, with anything after them. Dangerous: any app on the device can register the scheme and receive the code.',
    ),
  private_hosts: z
    .array(
      z
        .string()
        .regex(
          /^(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/,
          'must be a host or an address, such as nas.lan or 192.168.1.10',
        ),
    )
    .describe(
      'Hosts and addresses whose redirect URIs may use plain http too. Dangerous: anyone on that network can read the code.',
    ),
  hosts: hosts.describe('Hosts of https redirect URIs, such as app.example.com or *.example.com, or * for any.'),
})

export type Hosts = z.output<typeof hosts>

/** The rules of a policy that URIs are judged by. */
export type UriRules = { redirect_uris: z.output<typeof redirectUriRules>; uri_hosts: Hosts }

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { secret } from '../../secret.ts'
import { domains } from '../domains.ts'
import { seconds, secondsOrNone } from '../durations.ts'
import { isLoopbackHost } from '../issuer.ts'
import { list } from '../lists.ts'
import { protectedClaims } from '../protected-claims.ts'
import type { Given, Mistake } from './mistake.ts'

/** A directory server, as LDAP_URL names it. */
export type LdapServer = { host: string; port: number; isTls: boolean; isLoopback: boolean }

const attributeName = /^[A-Za-z][A-Za-z0-9-]*$/

const servers = list.superRefine((entries, context) => {
  const wrong = entries.find((entry) => readLdapUrl(entry) === undefined)
  if (wrong !== undefined) {
    context.addIssue({
      code: 'custom',
      message: 'must be addresses of servers, such as ldaps://ldap1.example.com,ldaps://ldap2.example.com:1636',
    })
  }
})

const attribute = z.string().regex(attributeName, 'must be the name of an attribute, such as entryUUID').optional()

const isFilter = (text: string) => text.startsWith('(') && text.endsWith(')')

/** Lists the attributes that a filter compares with an address, and the texts that it compares them with. */
export function addressedBy(filter: string): { attribute: string; text: string }[] {
  const comparisons = filter.matchAll(/\(([A-Za-z][A-Za-z0-9-]*)=([^()*\\]*\{address\}[^()*\\]*)\)/g)
  return [...comparisons].map(([, attribute = '', text = '']) => ({ attribute, text }))
}

/** The directory that people sign in with. */
export const ldapSettings = {
  LDAP_URL: servers.describe(
    'The servers of an LDAP directory that people sign in with, comma separated: `ldaps://ldap1.example.com,ldaps://ldap2.example.com`. If a server cannot be used, Postern asks the next one. Empty means no directory. See docs/ldap.md.',
  ),
  LDAP_PRESET: z
    .enum(['openldap', 'active-directory'])
    .default('openldap')
    .describe('The kind of the directory. It decides the defaults of the other settings.'),
  LDAP_START_TLS: z
    .stringbool()
    .default(false)
    .describe(
      'Encrypt connections to `ldap://` servers by StartTLS. Without it, `ldap://` is only for the loopback interface.',
    ),
  LDAP_CA: z
    .string()
    .superRefine((path, context) => {
      const message = certificateProblem(path)
      if (message) context.addIssue({ code: 'custom', message })
    })
    .optional()
    .describe(
      'Path of a PEM file with the certificates of the authorities that the servers are verified by. Default: those that Node.js trusts.',
    ),
  LDAP_BIND_DN: z
    .string()
    .max(1_000)
    .optional()
    .describe(
      'The entry that Postern searches as, such as `cn=postern,ou=services,dc=example,dc=com`. Unset means anonymously.',
    ),
  LDAP_BIND_PASSWORD: z
    .string()
    .transform((value) => secret(value))
    .optional()
    .describe('The password of that entry.'),
  LDAP_BASE_DN: z
    .string()
    .max(1_000)
    .optional()
    .describe(
      'People are searched for below this entry, such as `ou=people,dc=example,dc=com`. Required with LDAP_URL.',
    ),
  LDAP_DOMAINS: domains.describe(
    'Domains of the email addresses that belong to the directory, comma separated. It is their authority: a local account with such an address becomes that of the directory at the first sign-in. If it is empty, every address is looked for in the directory, which is the authority of none.',
  ),
  LDAP_USER_FILTER: z
    .string()
    .refine(
      (text) => isFilter(text) && addressedBy(text).length > 0,
      'must be a filter in parentheses that compares an attribute with {address}, such as (mail={address})',
    )
    .optional()
    .describe(
      'The filter that finds a person by the address they typed, which replaces `{address}`. It can also say who may sign in. Default: `(&(objectClass=inetOrgPerson)(mail={address}))`, and for Active Directory `(&(objectClass=user)(!(objectClass=computer))(|(userPrincipalName={address})(mail={address})))`.',
    ),
  LDAP_ID_ATTRIBUTE: attribute.describe(
    'The attribute that never changes, also if the person is renamed. Default: `entryUUID`, and `objectGUID` for Active Directory.',
  ),
  LDAP_ATTRIBUTES: list
    .superRefine((entries, context) => {
      const message = mappingProblem(entries.map((entry) => entry.split('=')))
      if (message) context.addIssue({ code: 'custom', message })
    })
    .describe(
      'Claims and the attributes that they come from, comma separated; the first attribute that has a value counts. `email` is required. Default: `email=mail,name=displayName|cn,given_name=givenName,family_name=sn,preferred_username=uid`; for Active Directory `email=mail|userPrincipalName` and `preferred_username=sAMAccountName`.',
    ),
  LDAP_GROUPS: z
    .string()
    .refine(
      (text) => text === 'none' || attributeName.test(text) || (isFilter(text) && text.includes('{dn}')),
      'must be none, an attribute such as memberOf, or a filter in parentheses with {dn}, such as (member={dn})',
    )
    .default('none')
    .describe(
      'Where the groups of a person come from: `none`, an attribute of their entry that lists groups, such as `memberOf`, or a filter that finds the groups of the person `{dn}`, such as `(member={dn})`.',
    ),
  LDAP_GROUPS_BASE_DN: z
    .string()
    .max(1_000)
    .optional()
    .describe('Only groups below this entry count, each by its common name. Default: LDAP_BASE_DN.'),
  LDAP_DISABLED: list
    .superRefine((entries, context) => {
      if (entries.some((entry) => !/^[A-Za-z][A-Za-z0-9-]*(=.+|&[1-9]\d*)$/.test(entry))) {
        context.addIssue({
          code: 'custom',
          message: 'must be values such as nsAccountLock=TRUE, or bits such as userAccountControl&2',
        })
      }
    })
    .describe(
      'Values that mean that an entry is disabled, comma separated: `nsAccountLock=TRUE`, or bits, `userAccountControl&2`. Default: `pwdAccountLockedTime=000001010000Z`, and `userAccountControl&2` for Active Directory.',
    ),
  LDAP_TIMEOUT_SECONDS: seconds
    .default(5)
    .describe('How long a server may take to check one sign-in, from the connection to the last answer.'),
  LDAP_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .default(10)
    .describe(
      'Connections that each process has open at once. Further sign-ins wait, and are refused when too many wait.',
    ),
  LDAP_RECHECK_SECONDS: secondsOrNone
    .default(0)
    .describe(
      'How often Postern looks whether the people who are signed in still have an entry that is not disabled. It ends the sessions and tokens of the others. 0 means never: then they end by themselves.',
    ),
  LDAP_PASSWORD_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http(s) URL, such as https://password.example.com' })
    .optional()
    .describe('The page where people of the directory change their password, which Postern links.'),
}

/** Finds mistakes in the settings of the directory taken together. */
export function* ldapMistakes(given: Given<typeof ldapSettings>): Generator<Mistake<typeof ldapSettings>> {
  const { LDAP_URL, LDAP_BASE_DN, LDAP_BIND_DN, LDAP_BIND_PASSWORD, LDAP_START_TLS } = given
  const urls = Array.isArray(LDAP_URL) ? LDAP_URL.map(String) : []
  if (urls.length > 0 && !LDAP_BASE_DN) yield { name: 'LDAP_BASE_DN', message: 'is required when LDAP_URL is set' }
  if (LDAP_BIND_DN && !LDAP_BIND_PASSWORD) {
    yield { name: 'LDAP_BIND_PASSWORD', message: 'is required when LDAP_BIND_DN is set' }
  }
  if (LDAP_BIND_PASSWORD && !LDAP_BIND_DN) {
    yield { name: 'LDAP_BIND_DN', message: 'is required when LDAP_BIND_PASSWORD is set' }
  }
  const isOpen = urls.some((url) => {
    const server = readLdapUrl(url)
    return server && !server.isTls && !server.isLoopback
  })
  if (isOpen && LDAP_START_TLS !== true) {
    yield {
      name: 'LDAP_URL',
      message: 'must begin with ldaps://, or LDAP_START_TLS must be true: without TLS, the network sees every password',
    }
  }
}

/** Reads the address of a server. `undefined` if the text is not one. */
export function readLdapUrl(text: string): LdapServer | undefined {
  const url = URL.parse(text)
  if (!url || !/^ldaps?:$/.test(url.protocol) || url.hostname === '') return undefined
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '' || url.username !== '') {
    return undefined
  }
  const isTls = url.protocol === 'ldaps:'
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (isTls ? 636 : 389),
    isTls,
    isLoopback: isLoopbackHost(url.hostname),
  }
}

function mappingProblem(entries: readonly string[][]): string | undefined {
  for (const [claim = '', names = '', ...others] of entries) {
    const isMapping = others.length === 0 && names.split('|').every((name) => attributeName.test(name))
    if (!isMapping || !/^[A-Za-z0-9_:./-]{1,100}$/.test(claim))
      return 'must be claims with attributes, such as email=mail'
    if (claim === 'groups') return 'cannot have groups, which LDAP_GROUPS sets'
    if (claim === 'address' || claim.endsWith('_verified')) return `cannot have ${claim}, which is not one text`
    if (claim !== 'email' && protectedClaims.includes(claim)) return `cannot have ${claim}, which Postern sets itself`
  }
  if (entries.length > 0 && !entries.some(([claim]) => claim === 'email')) return 'must have email'
  return undefined
}

function certificateProblem(path: string): string | undefined {
  try {
    new X509Certificate(readFileSync(path))
    return undefined
  } catch (error) {
    const { code } = error as { code?: string }
    return code === 'ENOENT' || code === 'EACCES'
      ? 'is a file that cannot be read'
      : 'is a file without a certificate in PEM'
  }
}

import { readFileSync } from 'node:fs'
import type { Config } from '../../config/index.ts'
import { addressedBy, type LdapServer, readLdapUrl } from '../../config/settings/ldap.ts'
import type { Secret } from '../../secret.ts'

/** A value, or bits of a number, that an entry has while it is disabled. */
export type DisabledRule = { attribute: string; value: string } | { attribute: string; bits: number }

/** Everything that the settings say about the directory. */
export type DirectoryRules = {
  /** The servers, the preferred one first. */
  servers: readonly LdapServer[]
  startTls: boolean
  /** The certificates of the authorities that vouch for the servers. */
  ca: string | undefined
  /** The entry that Postern searches as. */
  service: { dn: string; password: Secret } | undefined
  baseDn: string
  userFilter: string
  /** The attributes that the filter compares with the address, each with the text around it. */
  addressed: readonly { attribute: string; text: string }[]
  idAttribute: string
  /** The attributes that each claim comes from. The first one that has a value counts. */
  attributes: readonly { claim: string; names: readonly string[] }[]
  groups: { attribute: string } | { filter: string } | undefined
  groupsBaseDn: string
  disabled: readonly DisabledRule[]
  timeoutMs: number
  connections: number
}

type Preset = { userFilter: string; idAttribute: string; attributes: string; disabled: string }

const names = 'name=displayName|cn,given_name=givenName,family_name=sn'

const presets: Record<Config['LDAP_PRESET'], Preset> = {
  openldap: {
    userFilter: '(&(objectClass=inetOrgPerson)(mail={address}))',
    idAttribute: 'entryUUID',
    attributes: `email=mail,${names},preferred_username=uid`,
    disabled: 'pwdAccountLockedTime=000001010000Z', // until an administrator unlocks it (draft-behera-ldap-password-policy §5.3.3)
  },
  'active-directory': {
    userFilter: '(&(objectClass=user)(!(objectClass=computer))(|(userPrincipalName={address})(mail={address})))',
    idAttribute: 'objectGUID',
    attributes: `email=mail|userPrincipalName,${names},preferred_username=sAMAccountName`,
    disabled: 'userAccountControl&2',
  },
}

/** Returns the rules that the settings give. `undefined` without a directory. */
export function rulesOf(config: Config): DirectoryRules | undefined {
  if (config.LDAP_URL.length === 0 || config.LDAP_BASE_DN === undefined) return undefined
  const preset = presets[config.LDAP_PRESET]
  const userFilter = config.LDAP_USER_FILTER ?? preset.userFilter
  const { LDAP_BIND_DN: dn, LDAP_BIND_PASSWORD: password, LDAP_ATTRIBUTES, LDAP_DISABLED, LDAP_GROUPS } = config
  return {
    servers: config.LDAP_URL.flatMap((url) => readLdapUrl(url) ?? []),
    startTls: config.LDAP_START_TLS,
    ca: config.LDAP_CA === undefined ? undefined : readFileSync(config.LDAP_CA, 'utf8'),
    service: dn !== undefined && password !== undefined ? { dn, password } : undefined,
    baseDn: config.LDAP_BASE_DN,
    userFilter,
    addressed: addressedBy(userFilter),
    idAttribute: config.LDAP_ID_ATTRIBUTE ?? preset.idAttribute,
    attributes: (LDAP_ATTRIBUTES.length > 0 ? LDAP_ATTRIBUTES : preset.attributes.split(',')).map(mapping),
    groups: groupsOf(LDAP_GROUPS),
    groupsBaseDn: config.LDAP_GROUPS_BASE_DN ?? config.LDAP_BASE_DN,
    disabled: (LDAP_DISABLED.length > 0 ? LDAP_DISABLED : [preset.disabled]).map(disabledRule),
    timeoutMs: config.LDAP_TIMEOUT_SECONDS * 1_000,
    connections: config.LDAP_CONNECTIONS,
  }
}

function mapping(entry: string): DirectoryRules['attributes'][number] {
  const [claim = '', attributes = ''] = entry.split('=')
  return { claim, names: attributes.split('|') }
}

function groupsOf(text: string): DirectoryRules['groups'] {
  if (text === 'none') return undefined
  return text.startsWith('(') ? { filter: text } : { attribute: text }
}

function disabledRule(entry: string): DisabledRule {
  const [, attribute = '', sign, rest = ''] = /^([A-Za-z0-9-]+)([=&])(.+)$/.exec(entry) ?? []
  return sign === '&' ? { attribute, bits: Number(rest) } : { attribute, value: rest }
}

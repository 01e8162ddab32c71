import { describe, expect, test } from 'vitest'
import { isBelow, lowestValue, parse as parseName } from '../../../src/authentication/ldap/distinguished-names.ts'
import { rulesOf } from '../../../src/authentication/ldap/rules.ts'
import { parse } from '../../../src/config/index.ts'

const base = { LDAP_URL: 'ldaps://ldap.example.com', LDAP_BASE_DN: 'dc=example,dc=com' }

describe('the settings of a directory', () => {
  test.each([
    [{ LDAP_URL: 'ldap://ldap.example.com' }, 'LDAP_URL must begin with ldaps://, or LDAP_START_TLS must be true'],
    [{ LDAP_URL: 'ldaps://a.example,ldap://b.example' }, 'LDAP_URL must begin with ldaps://'],
    [{ LDAP_URL: 'https://ldap.example.com' }, 'LDAP_URL must be addresses of servers'],
    [{ LDAP_URL: 'ldaps://ldap.example.com/dc=example' }, 'LDAP_URL must be addresses of servers'],
    [{ LDAP_BASE_DN: '' }, 'LDAP_BASE_DN is required when LDAP_URL is set'],
    [{ LDAP_BIND_DN: 'cn=postern' }, 'LDAP_BIND_PASSWORD is required when LDAP_BIND_DN is set'],
    [{ LDAP_BIND_PASSWORD: 'x' }, 'LDAP_BIND_DN is required when LDAP_BIND_PASSWORD is set'],
    [{ LDAP_USER_FILTER: '(mail=ada)' }, 'LDAP_USER_FILTER must be a filter in parentheses that compares'],
    [{ LDAP_USER_FILTER: '(mail=*{address}*)' }, 'LDAP_USER_FILTER must be a filter in parentheses that compares'],
    [{ LDAP_GROUPS: '(member=ada)' }, 'LDAP_GROUPS must be none, an attribute'],
    [{ LDAP_ATTRIBUTES: 'name=cn' }, 'LDAP_ATTRIBUTES must have email'],
    [{ LDAP_ATTRIBUTES: 'email=mail,sub=uid' }, 'LDAP_ATTRIBUTES cannot have sub, which Postern sets itself'],
    [{ LDAP_ATTRIBUTES: 'email=mail,email_verified=x' }, 'LDAP_ATTRIBUTES cannot have email_verified'],
    [{ LDAP_ATTRIBUTES: 'email=mail,groups=x' }, 'LDAP_ATTRIBUTES cannot have groups, which LDAP_GROUPS sets'],
    [{ LDAP_ATTRIBUTES: 'email=mail,name=a b' }, 'LDAP_ATTRIBUTES must be claims with attributes'],
    [{ LDAP_DISABLED: 'nsAccountLock' }, 'LDAP_DISABLED must be values such as nsAccountLock=TRUE'],
    [{ LDAP_CA: '/nowhere/ca.pem' }, 'LDAP_CA is a file that cannot be read'],
    [{ LDAP_CA: import.meta.filename }, 'LDAP_CA is a file without a certificate in PEM'],
    [{ LDAP_PASSWORD_URL: 'javascript:alert(1)' }, 'LDAP_PASSWORD_URL must be an http(s) URL'],
  ])('are rejected with the reason: %j', (settings, reason) => {
    expect(() => parse({ ...base, ...settings })).toThrow(reason)
  })

  test('need no TLS on the loopback interface, and are no directory without servers', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      expect(rulesOf(parse({ ...base, LDAP_URL: `ldap://${host}:3890` }))?.servers).toHaveLength(1)
    }
    expect(rulesOf(parse({ LDAP_BASE_DN: 'dc=example,dc=com' }))).toBeUndefined()
  })
})

describe('a distinguished name', () => {
  test('is read with its escapes', () => {
    expect(parseName('CN=Lovelace\\, \\"Ada\\"+uid=ada, OU=People ,DC=example')).toEqual([
      [
        { type: 'cn', value: 'Lovelace, "Ada"' },
        { type: 'uid', value: 'ada' },
      ],
      [{ type: 'ou', value: 'People' }],
      [{ type: 'dc', value: 'example' }],
    ])
    expect(lowestValue('cn=M\\c3\\bcller\\20,dc=x')).toBe('Müller ')
    expect(lowestValue('cn=a\\\\ ,dc=x')).toBe('a\\')
    for (const text of ['', 'cn', 'cn=a,', 'cn=a"b', 'cn=a;,x', 'cn=#0401', 'cn=a\\'])
      expect(parseName(text)).toBe(undefined)
  })

  test('is below another one by its parts, however each is spelled, and not by its text', () => {
    expect(isBelow('CN=Staff, OU=Groups,DC=example', 'ou=groups,dc=EXAMPLE')).toBe(true)
    expect(isBelow('ou=groups,dc=example', 'ou=groups,dc=example')).toBe(false)
    expect(isBelow('cn=x\\,ou=groups,dc=example', 'ou=groups,dc=example')).toBe(false)
    expect(isBelow('cn=staff,ou=mygroups,dc=example', 'groups,dc=example')).toBe(false)
    expect(isBelow('cn=staff,ou=groups,dc=example', 'ou=groups,dc=other')).toBe(false)
  })
})

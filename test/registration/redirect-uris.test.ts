import { describe, expect, test } from 'vitest'
import {
  postLogoutRedirectUriProblem,
  redirectUriProblem,
  type UriContext,
  webUriProblem,
} from '../../src/registration/redirect-uris.ts'
import { complete } from '../../src/registration/rules.ts'

type Given = { rules?: object; isNative?: boolean; isLoopbackIssuer?: boolean }

const context = ({ rules = {}, isNative = false, isLoopbackIssuer = false }: Given = {}): UriContext => ({
  rules: complete('test', rules).rules,
  isNative,
  isLoopbackIssuer,
})
const ruleAgainst = (uri: string, given?: Given) => redirectUriProblem(uri, context(given))?.rule

/** The most lenient there is, so that what is refused under it is refused under all. */
const lenient = { rules: { redirect_uris: complete('administrator').rules.redirect_uris } }

describe('RFC 7591 §5: people are sent back to', () => {
  test.each([
    ['https', 'https://rp.example/cb'],
    ['a host in a country’s own script, as punycode', 'https://xn--bcher-kva.example/cb'],
    ['a host without a dot', 'https://intranet/cb'],
    ['a port', 'https://rp.example:8443/cb'],
    ['a query', 'https://rp.example/cb?tenant=a&next=%2Fhome'],
    ['a host alone', 'https://rp.example'],
    ['a host alone, with a query', 'https://rp.example?a=b'],
    ['a path with an @', 'https://rp.example/@team/cb'],
    ['a path with parameters', 'https://rp.example/cb;v=1/x'],
    ['a path with what only looks like dot segments', 'https://rp.example/..a/.b/...'],
    ['a path with encoded characters', 'https://rp.example/%C3%BC%20'],
  ])('%s', (_what, uri) => {
    expect(redirectUriProblem(uri, context())).toBeUndefined()
  })
})

describe('under no policy are they sent to', () => {
  test.each([
    ['nowhere', ''],
    ['a relative address', '/cb'],
    ['a host of unknown scheme', '//rp.example/cb'],
    ['a fragment', 'https://rp.example/cb#here'],
    ['an empty fragment', 'https://rp.example/cb#'],
    ['a wildcard for a host', 'https://*.rp.example/cb'],
    ['a wildcard for a path', 'https://rp.example/*'],
    ['an encoded wildcard for a host', 'https://%2a.rp.example/cb'],
    ['port 0', 'https://rp.example:0/cb'],
    ['a port beyond the last', 'https://rp.example:65536/cb'],
    ['a host with a dot at its end', 'https://rp.example./cb'],
    ['a host with an empty label', 'https://rp..example/cb'],
    ['a host with an underscore', 'https://r_p.example/cb'],
    ['a host with a hyphen at its edge', 'https://-rp.example/cb'],
    ['a host not in ASCII', 'https://bücher.example/cb'],
    ['a host in full-width letters', 'https://ｒｐ.example/cb'],
    ['a host with an ideographic full stop', 'https://rp。example/cb'],
    ['a host with a soft hyphen', 'https://r\u00adp.example/cb'],
    ['a host in capitals', 'https://RP.example/cb'],
    ['a scheme in capitals', 'HTTPS://rp.example/cb'],
    ['a port that goes without saying', 'https://rp.example:443/cb'],
    ['three slashes', 'https:///rp.example/cb'],
    ['one slash', 'https:/rp.example/cb'],
    ['no slash', 'https:rp.example/cb'],
    ['a space before', ' https://rp.example/cb'],
    ['a space after', 'https://rp.example/cb '],
    ['a space inside', 'https://rp.example/c b'],
    ['a tab, which some drop', 'https://rp.exa\tmple/cb'],
    ['a line break, which some drop', 'https://rp.exa\nmple/cb'],
    ['a zero byte', 'https://rp.example/cb\0'],
    ['a path not in ASCII', 'https://rp.example/ü'],
    ['a backslash in its query, which nobody rewrites', 'https://rp.example/cb?a=\\b'],
    ['an encoded dot', 'https://rp.example/cb%2ephp'],
    ['an encoded line break', 'https://rp.example/cb?a=%0d%0aset-cookie:x'],
    ['an encoded zero byte', 'https://rp.example/cb%00.png'],
    ['an encoded delete', 'https://rp.example/cb%7f'],
    ['a percent sign alone', 'https://rp.example/100%'],
    ['a percent sign and no number', 'https://rp.example/%zz'],
  ])('%s', (_what, uri) => {
    expect(ruleAgainst(uri, lenient)).toBe('uri_syntax')
    expect(ruleAgainst(uri, { ...lenient, isNative: true })).toBe('uri_syntax')
  })
})

// Where peers read an address differently from the browser that goes there, by class of mistake.
describe('peers were led astray by', () => {
  test.each([
    ['user information that looks like the host (Pocket ID CVE-2026-28512)', 'https://good.example@evil.example/cb'],
    ['a password that looks like a port (Pocket ID CVE-2026-28512)', 'https://good.example:443@evil.example/cb'],
    ['empty user information (Pocket ID CVE-2026-28512)', 'https://@evil.example/cb'],
    ['empty user information and password (Pocket ID CVE-2026-28512)', 'https://:@evil.example/cb'],
    ['an encoded @ (Pocket ID CVE-2026-28512)', 'https://good.example%40evil.example/cb'],
    ['more than one @ (Keycloak CVE-2026-7504)', 'https://good.example@x@evil.example/cb'],
    ['an @ behind a backslash (Keycloak CVE-2026-7504)', 'https://evil.example\\@good.example/cb'],
    ['an @ behind an encoded slash (Keycloak CVE-2026-7504)', 'https://evil.example%2f@good.example/cb'],
    ['dot segments with parameters (Keycloak CVE-2026-3872)', 'https://rp.example/app/..;/elsewhere'],
    ['dot segments with parameters at the end (Keycloak CVE-2026-3872)', 'https://rp.example/app/..;a=b'],
    ['single dots with parameters (Keycloak CVE-2026-3872)', 'https://rp.example/app/.;/elsewhere'],
    ['dot segments (Keycloak CVE-2024-1132)', 'https://rp.example/app/../elsewhere'],
    ['encoded dot segments (Keycloak CVE-2024-1132)', 'https://rp.example/app/%2e%2E/elsewhere'],
    ['half-encoded dot segments (Keycloak CVE-2024-1132)', 'https://rp.example/app/.%2e/elsewhere'],
    ['dot segments encoded twice (Keycloak CVE-2024-1132)', 'https://rp.example/app/%252e%252e/elsewhere'],
    ['an encoded slash (Keycloak CVE-2024-1132)', 'https://rp.example/app/..%2felsewhere'],
    ['an encoded backslash (Keycloak CVE-2024-1132)', 'https://rp.example/app/..%5Celsewhere'],
    ['a backslash for a slash (Keycloak CVE-2024-1132)', 'https://rp.example/app\\..\\elsewhere'],
    ['a pattern for a host (authentik CVE-2024-52289)', 'https://.+\\.rp.example/cb'],
    ['a group for a host (authentik CVE-2024-52289)', 'https://(rp|evil).example/cb'],
    ['a pattern for everything (authentik CVE-2024-52289)', '.*'],
    ['a script (authentik CVE-2024-21637)', 'javascript:alert(1)'],
    ['a script with a host (authentik CVE-2024-21637)', 'javascript://rp.example/%0aalert(1)'],
    ['a script in capitals (authentik CVE-2024-21637)', 'JaVaScRiPt:alert(1)'],
    ['a script with a tab in it (authentik CVE-2024-21637)', 'java\tscript:alert(1)'],
    ['a document of its own (authentik CVE-2024-21637)', 'data:text/html,<script>alert(1)</script>'],
    ['an old script (authentik CVE-2024-21637)', 'vbscript:msgbox(1)'],
    ['a blob (authentik CVE-2024-21637)', 'blob:https://rp.example/0000'],
    ['a file (authentik CVE-2024-21637)', 'file:///etc/passwd'],
    ['what the browser shows itself (authentik CVE-2024-21637)', 'about:blank'],
    ['the source of a page (authentik CVE-2024-21637)', 'view-source:https://rp.example/'],
    ['an address of no scheme (Casdoor CVE-2026-5467)', '//evil.example'],
    ['an address of no scheme, with backslashes (Casdoor CVE-2026-5467)', '\\\\evil.example'],
    ['a scheme without its colon (Casdoor CVE-2026-5467)', 'https//evil.example'],
  ])('%s', (_what, uri) => {
    expect(ruleAgainst(uri, lenient)).toBe('uri_syntax')
    expect(ruleAgainst(uri, { ...lenient, isNative: true })).toBe('uri_syntax')
  })

  test.each([
    ['a host that begins like loopback (Keycloak CVE-2024-8883)', 'http://localhost.evil.example/cb'],
    ['a host that begins like an address (Keycloak CVE-2024-8883)', 'http://127.0.0.1.evil.example/cb'],
    ['a host that ends like loopback (Keycloak CVE-2024-8883)', 'http://evil.localhost/cb'],
    ['another address of the loopback net (Keycloak CVE-2024-8883)', 'http://127.0.0.2/cb'],
    ['the address of everywhere (Keycloak CVE-2024-8883)', 'http://0.0.0.0/cb'],
  ])('%s', (_what, uri) => {
    expect(ruleAgainst(uri, { ...lenient, isNative: true })).toBe('redirect_uris.https')
  })

  test('a host that begins or ends like one that is listed (Casdoor CVE-2026-5467)', () => {
    const rules = { redirect_uris: { hosts: ['rp.example', '*.apps.example'] } }
    for (const host of ['rp.example.evil.example', 'evilrp.example', 'rp.example-evil.example', 'evilapps.example']) {
      expect(ruleAgainst(`https://${host}/cb`, { rules })).toBe('redirect_uris.hosts')
    }
    for (const query of ['https://evil.example/https://rp.example/', 'https://evil.example/?rp.example']) {
      expect(ruleAgainst(query, { rules })).toBe('redirect_uris.hosts')
    }
  })
})

describe('RFC 7591 §5: a host is a name, in whichever way an address is written', () => {
  test.each([
    ['four numbers', 'https://203.0.113.7/cb'],
    ['one number', 'https://3405803783/cb'],
    ['one number in hexadecimal', 'https://0xcb007107/cb'],
    ['octal numbers', 'https://0313.0.0161.7/cb'],
    ['three numbers', 'https://203.0.28935/cb'],
    ['full-width numbers', 'https://２０３.0.113.7/cb'],
    ['encoded numbers', 'https://%32%30%33.0.113.7/cb'],
    ['a dot at the end', 'https://203.0.113.7./cb'],
    ['IPv6', 'https://[2001:db8::1]/cb'],
    ['IPv4 in IPv6', 'https://[::ffff:203.0.113.7]/cb'],
    ['IPv4 in IPv6, in hexadecimal', 'https://[::ffff:cb00:7107]/cb'],
    ['a name that is one', 'https://sub.localhost/cb'],
    ['loopback, spelt short', 'http://127.1/cb'],
    ['loopback, as a number', 'http://2130706433/cb'],
    ['loopback, spelt long', 'http://[0:0:0:0:0:0:0:1]/cb'],
    ['loopback, with a dot at the end', 'http://localhost./cb'],
  ])('%s', (_what, uri) => {
    expect(redirectUriProblem(uri, context(lenient))).toBeDefined()
    expect(redirectUriProblem(uri, context({ ...lenient, isNative: true, isLoopbackIssuer: true }))).toBeDefined()
  })

  test('and the refusal says that it is an address', () => {
    const refusal = redirectUriProblem('https://[2001:db8::1]/cb', context())
    expect(refusal?.message).toBe('must name a host, not an address')
  })
})

describe('RFC 8252 §7.3: redirect_uris.loopback', () => {
  const loopback = ['http://127.0.0.1/cb', 'http://[::1]:8080/cb', 'http://localhost:3000/cb']

  test.each<[string, 'never' | 'native' | 'any', Given, string | undefined]>([
    ['never, for an app', 'never', { isNative: true }, 'redirect_uris.loopback'],
    ['never, for a web client', 'never', {}, 'redirect_uris.loopback'],
    ['native, for an app', 'native', { isNative: true }, undefined],
    ['native, for a web client', 'native', {}, 'redirect_uris.loopback'],
    ['any, for an app', 'any', { isNative: true }, undefined],
    ['any, for a web client', 'any', {}, undefined],
    ['never, where the issuer itself is on loopback', 'never', { isLoopbackIssuer: true }, undefined],
  ])('%s', (_what, rule, given, expected) => {
    const rules = { redirect_uris: { loopback: rule, hosts: ['rp.example'] } }
    for (const uri of loopback) expect([uri, ruleAgainst(uri, { ...given, rules })]).toEqual([uri, expected])
  })

  test('over https it is for no app, and for a web client where any may be there', () => {
    const uri = 'https://localhost:8443/cb'
    expect(ruleAgainst(uri, { isNative: true })).toBe('redirect_uris.loopback')
    expect(ruleAgainst(uri, { rules: { redirect_uris: { loopback: 'any' } } })).toBeUndefined()
  })
})

describe('RFC 8252 §7.1: redirect_uris.private_use_schemes', () => {
  const isNative = true

  test.each(['com.example.app:/cb', 'com.example.app:/', 'com.example-2.app+x:/oauth2/cb?a=b'])('%s', (uri) => {
    expect(ruleAgainst(uri, { isNative })).toBeUndefined()
    expect(ruleAgainst(uri)).toBe('uri_syntax')
    const rules = { redirect_uris: { private_use_schemes: false } }
    expect(ruleAgainst(uri, { isNative, rules })).toBe('redirect_uris.private_use_schemes')
  })

  test.each([
    ['a scheme without a dot', 'myapp:/cb'],
    ['a scheme that ends in a dot', 'com.:/cb'],
    ['a scheme with an empty label', 'com..app:/cb'],
    ['a host', 'com.example.app://host/cb'],
    ['an empty host', 'com.example.app:///cb'],
    ['no slash', 'com.example.app:cb'],
    ['capitals', 'com.example.App:/cb'],
    ['dot segments', 'com.example.app:/a/../cb'],
    ['user information', 'com.example.app://a@host/cb'],
    ['a fragment', 'com.example.app:/cb#x'],
    ['a wildcard', 'com.example.app:/*'],
  ])('not with %s', (_what, uri) => {
    expect(ruleAgainst(uri, { isNative })).toBe('uri_syntax')
  })
})

describe('a policy says where else', () => {
  test('redirect_uris.https: http is for loopback alone, and https can be switched off', () => {
    expect(ruleAgainst('http://rp.example/cb', { isNative: true })).toBe('redirect_uris.https')
    expect(ruleAgainst('http://rp.example/cb', { isLoopbackIssuer: true })).toBe('redirect_uris.https')
    const rules = { redirect_uris: { https: false } }
    expect(ruleAgainst('https://rp.example/cb', { rules })).toBe('redirect_uris.https')
  })

  test('redirect_uris.hosts: a name is itself, on any port; *. and a name is all below it, and not itself', () => {
    const rules = { redirect_uris: { hosts: ['rp.example', '*.apps.example'] } }
    for (const host of ['rp.example', 'rp.example:8443', 'a.apps.example', 'a.b.apps.example']) {
      expect([host, ruleAgainst(`https://${host}/cb`, { rules })]).toEqual([host, undefined])
    }
    for (const host of ['a.rp.example', 'apps.example', 'other.example']) {
      expect([host, ruleAgainst(`https://${host}/cb`, { rules })]).toEqual([host, 'redirect_uris.hosts'])
    }
    expect(ruleAgainst('https://rp.example/cb', { rules: { redirect_uris: { hosts: [] } } })).toBe(
      'redirect_uris.hosts',
    )
  })

  test('uri_hosts: people who sign out are sent only there, by the same rules otherwise', () => {
    const given = context({ rules: { uri_hosts: ['rp.example'], redirect_uris: { hosts: ['other.example'] } } })
    const ruleFor = (uri: string) => postLogoutRedirectUriProblem(uri, given)?.rule
    expect(ruleFor('https://rp.example/bye')).toBeUndefined()
    expect(ruleFor('https://other.example/bye')).toBe('uri_hosts')
    expect(ruleFor('http://rp.example/bye')).toBe('redirect_uris.https')
    expect(ruleFor('https://a@rp.example/bye')).toBe('uri_syntax')
    expect(ruleFor('http://localhost/bye')).toBe('redirect_uris.loopback')
  })
})

describe('addresses that are shown or fetched', () => {
  const ruleFor = (uri: string, given?: Given) => webUriProblem(uri, context(given))?.rule

  test('are https, and may have a fragment', () => {
    expect(ruleFor('https://rp.example/tos#privacy')).toBeUndefined()
  })

  test.each([
    ['http', 'http://rp.example/jwks'],
    ['loopback', 'http://127.0.0.1/jwks'],
    ['loopback over https', 'https://localhost/jwks'],
    ['the address of a cloud’s metadata', 'http://169.254.169.254/latest'],
    ['an address', 'https://10.0.0.1/jwks'],
    ['an address as a number', 'https://167772161/jwks'],
    ['an address in IPv6', 'https://[fd00::1]/jwks'],
    ['user information', 'https://rp.example@evil.example/jwks'],
    ['a script', 'javascript:alert(1)'],
    ['a document of its own', 'data:image/svg+xml,x'],
    ['a scheme of its own', 'com.example.app:/x'],
    ['no address at all', 'logo.png'],
  ])('and not %s, whatever the policy says of redirects', (_what, uri) => {
    expect(ruleFor(uri, { ...lenient, isNative: true })).toBe('uri_syntax')
  })

  test('are on loopback only where the issuer itself is', () => {
    expect(ruleFor('http://127.0.0.1:8080/jwks', { isLoopbackIssuer: true })).toBeUndefined()
    expect(ruleFor('http://10.0.0.1/jwks', { isLoopbackIssuer: true })).toBe('uri_syntax')
  })

  test('uri_hosts: are where the policy says', () => {
    const rules = { uri_hosts: ['*.rp.example'] }
    expect(ruleFor('https://static.rp.example/logo.png', { rules })).toBeUndefined()
    expect(ruleFor('https://rp.example/logo.png', { rules })).toBe('uri_hosts')
  })
})

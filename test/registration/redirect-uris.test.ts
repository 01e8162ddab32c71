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

/** The most lenient rules, so that an address refused under them is refused under all. */
const lenient = { rules: { redirect_uris: complete('administrator').rules.redirect_uris } }

describe('RFC 7591 §5: a redirect URI may have', () => {
  test.each([
    ['https', 'https://rp.example/cb'],
    ['a host in a country’s own script, as punycode', 'https://xn--bcher-kva.example/cb'],
    ['a host without a dot', 'https://intranet/cb'],
    ['a port', 'https://rp.example:8443/cb'],
    ['a query', 'https://rp.example/cb?tenant=a&next=%2Fhome'],
    ['only a host', 'https://rp.example'],
    ['only a host and a query', 'https://rp.example?a=b'],
    ['a path with an @', 'https://rp.example/@team/cb'],
    ['a path with parameters', 'https://rp.example/cb;v=1/x'],
    ['a path with what only looks like dot segments', 'https://rp.example/..a/.b/...'],
    ['a path with encoded characters', 'https://rp.example/%C3%BC%20'],
  ])('%s', (_what, uri) => {
    expect(redirectUriProblem(uri, context())).toBeUndefined()
  })
})

describe('no policy allows an address with', () => {
  test.each([
    ['nothing in it', ''],
    ['a path only', '/cb'],
    ['no scheme', '//rp.example/cb'],
    ['a fragment', 'https://rp.example/cb#here'],
    ['an empty fragment', 'https://rp.example/cb#'],
    ['a wildcard as a host', 'https://*.rp.example/cb'],
    ['a wildcard as a path', 'https://rp.example/*'],
    ['an encoded wildcard as a host', 'https://%2a.rp.example/cb'],
    ['port 0', 'https://rp.example:0/cb'],
    ['a port beyond 65535', 'https://rp.example:65536/cb'],
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
    ['the default port', 'https://rp.example:443/cb'],
    ['three slashes after the scheme', 'https:///rp.example/cb'],
    ['one slash after the scheme', 'https:/rp.example/cb'],
    ['no slash after the scheme', 'https:rp.example/cb'],
    ['a space before', ' https://rp.example/cb'],
    ['a space after', 'https://rp.example/cb '],
    ['a space inside', 'https://rp.example/c b'],
    ['a tab, which some parsers drop', 'https://rp.exa\tmple/cb'],
    ['a line break, which some parsers drop', 'https://rp.exa\nmple/cb'],
    ['a zero byte', 'https://rp.example/cb\0'],
    ['a path not in ASCII', 'https://rp.example/ü'],
    ['a backslash in its query', 'https://rp.example/cb?a=\\b'],
    ['an encoded dot', 'https://rp.example/cb%2ephp'],
    ['an encoded line break', 'https://rp.example/cb?a=%0d%0aset-cookie:x'],
    ['an encoded zero byte', 'https://rp.example/cb%00.png'],
    ['an encoded delete', 'https://rp.example/cb%7f'],
    ['a percent sign at the end', 'https://rp.example/100%'],
    ['a percent sign without a number', 'https://rp.example/%zz'],
  ])('%s', (_what, uri) => {
    expect(ruleAgainst(uri, lenient)).toBe('uri_syntax')
    expect(ruleAgainst(uri, { ...lenient, isNative: true })).toBe('uri_syntax')
  })
})

// Addresses that other products read differently from the browser that follows them, by class of mistake.
describe('no policy allows an address that misled other products, with', () => {
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
    ['a backslash as a slash (Keycloak CVE-2024-1132)', 'https://rp.example/app\\..\\elsewhere'],
    ['a pattern as a host (authentik CVE-2024-52289)', 'https://.+\\.rp.example/cb'],
    ['a group as a host (authentik CVE-2024-52289)', 'https://(rp|evil).example/cb'],
    ['a pattern for everything (authentik CVE-2024-52289)', '.*'],
    ['a script (authentik CVE-2024-21637)', 'javascript:alert(1)'],
    ['a script with a host (authentik CVE-2024-21637)', 'javascript://rp.example/%0aalert(1)'],
    ['a script in capitals (authentik CVE-2024-21637)', 'JaVaScRiPt:alert(1)'],
    ['a script with a tab in it (authentik CVE-2024-21637)', 'java\tscript:alert(1)'],
    ['a data URL (authentik CVE-2024-21637)', 'data:text/html,<script>alert(1)</script>'],
    ['an old script (authentik CVE-2024-21637)', 'vbscript:msgbox(1)'],
    ['a blob (authentik CVE-2024-21637)', 'blob:https://rp.example/0000'],
    ['a file (authentik CVE-2024-21637)', 'file:///etc/passwd'],
    ['a page of the browser itself (authentik CVE-2024-21637)', 'about:blank'],
    ['the source of a page (authentik CVE-2024-21637)', 'view-source:https://rp.example/'],
    ['no scheme (Casdoor CVE-2026-5467)', '//evil.example'],
    ['no scheme and backslashes (Casdoor CVE-2026-5467)', '\\\\evil.example'],
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
    ['the unspecified address (Keycloak CVE-2024-8883)', 'http://0.0.0.0/cb'],
  ])('%s', (_what, uri) => {
    expect(ruleAgainst(uri, { ...lenient, isNative: true })).toBe('redirect_uris.https')
  })

  test('a host that begins or ends like a listed one (Casdoor CVE-2026-5467)', () => {
    const rules = { redirect_uris: { hosts: ['rp.example', '*.apps.example'] } }
    for (const host of ['rp.example.evil.example', 'evilrp.example', 'rp.example-evil.example', 'evilapps.example']) {
      expect(ruleAgainst(`https://${host}/cb`, { rules })).toBe('redirect_uris.hosts')
    }
    for (const query of ['https://evil.example/https://rp.example/', 'https://evil.example/?rp.example']) {
      expect(ruleAgainst(query, { rules })).toBe('redirect_uris.hosts')
    }
  })
})

describe('RFC 7591 §5: a host must be a name, so an address is refused when written with', () => {
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
    ['a name below localhost', 'https://sub.localhost/cb'],
    ['a short form of loopback', 'http://127.1/cb'],
    ['loopback as a number', 'http://2130706433/cb'],
    ['a long form of loopback', 'http://[0:0:0:0:0:0:0:1]/cb'],
    ['localhost and a dot at the end', 'http://localhost./cb'],
  ])('%s', (_what, uri) => {
    expect(redirectUriProblem(uri, context(lenient))).toBeDefined()
    expect(redirectUriProblem(uri, context({ ...lenient, isNative: true, isLoopbackIssuer: true }))).toBeDefined()
  })

  test('any of these, and the refusal says that it is an address', () => {
    const refusal = redirectUriProblem('https://[2001:db8::1]/cb', context())
    expect(refusal?.message).toBe('must name a host, not an address')
  })
})

describe('RFC 8252 §7.3: redirect_uris.loopback', () => {
  const loopback = ['http://127.0.0.1/cb', 'http://[::1]:8080/cb', 'http://localhost:3000/cb']

  test.each<[string, 'never' | 'native' | 'any', Given, string | undefined]>([
    ['with never rejects an app', 'never', { isNative: true }, 'redirect_uris.loopback'],
    ['with never rejects a web client', 'never', {}, 'redirect_uris.loopback'],
    ['with native accepts an app', 'native', { isNative: true }, undefined],
    ['with native rejects a web client', 'native', {}, 'redirect_uris.loopback'],
    ['with any accepts an app', 'any', { isNative: true }, undefined],
    ['with any accepts a web client', 'any', {}, undefined],
    [
      'with never accepts a web client if the issuer itself is on loopback',
      'never',
      { isLoopbackIssuer: true },
      undefined,
    ],
  ])('%s', (_what, rule, given, expected) => {
    const rules = { redirect_uris: { loopback: rule, hosts: ['rp.example'] } }
    for (const uri of loopback) expect([uri, ruleAgainst(uri, { ...given, rules })]).toEqual([uri, expected])
  })

  test('rejects https for an app, and accepts it for a web client only with any', () => {
    const uri = 'https://localhost:8443/cb'
    expect(ruleAgainst(uri, { isNative: true })).toBe('redirect_uris.loopback')
    expect(ruleAgainst(uri, { rules: { redirect_uris: { loopback: 'any' } } })).toBeUndefined()
  })
})

describe('RFC 8252 §7.1: private-use schemes', () => {
  const isNative = true

  test.each(['com.example.app:/cb', 'com.example.app:/', 'com.example-2.app+x:/oauth2/cb?a=b'])(
    'allow a native app the address %s',
    (uri) => {
      expect(ruleAgainst(uri, { isNative })).toBeUndefined()
      expect(ruleAgainst(uri)).toBe('uri_syntax')
      const rules = { redirect_uris: { private_use_schemes: false } }
      expect(ruleAgainst(uri, { isNative, rules })).toBe('redirect_uris.private_use_schemes')
    },
  )

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
  ])('do not allow a native app an address with %s', (_what, uri) => {
    expect(ruleAgainst(uri, { isNative })).toBe('uri_syntax')
  })
})

describe('a policy also restricts addresses:', () => {
  test('redirect_uris.https allows http only for loopback, and can disallow https', () => {
    expect(ruleAgainst('http://rp.example/cb', { isNative: true })).toBe('redirect_uris.https')
    expect(ruleAgainst('http://rp.example/cb', { isLoopbackIssuer: true })).toBe('redirect_uris.https')
    const rules = { redirect_uris: { https: false } }
    expect(ruleAgainst('https://rp.example/cb', { rules })).toBe('redirect_uris.https')
  })

  test('redirect_uris.hosts allows a listed name on any port, and for *. and a name all names below it but not the name itself', () => {
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

  test('uri_hosts allows these hosts after sign-out, under otherwise equal rules', () => {
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
    ['the metadata service of a cloud', 'http://169.254.169.254/latest'],
    ['an address', 'https://10.0.0.1/jwks'],
    ['an address as a number', 'https://167772161/jwks'],
    ['an address in IPv6', 'https://[fd00::1]/jwks'],
    ['user information', 'https://rp.example@evil.example/jwks'],
    ['a script', 'javascript:alert(1)'],
    ['a data URL', 'data:image/svg+xml,x'],
    ['a private-use scheme', 'com.example.app:/x'],
    ['a relative address', 'logo.png'],
  ])('cannot have %s, whatever the policy allows for redirects', (_what, uri) => {
    expect(ruleFor(uri, { ...lenient, isNative: true })).toBe('uri_syntax')
  })

  test('may be on loopback only if the issuer is', () => {
    expect(ruleFor('http://127.0.0.1:8080/jwks', { isLoopbackIssuer: true })).toBeUndefined()
    expect(ruleFor('http://10.0.0.1/jwks', { isLoopbackIssuer: true })).toBe('uri_syntax')
  })

  test('must be on the hosts that uri_hosts lists', () => {
    const rules = { uri_hosts: ['*.rp.example'] }
    expect(ruleFor('https://static.rp.example/logo.png', { rules })).toBeUndefined()
    expect(ruleFor('https://rp.example/logo.png', { rules })).toBe('uri_hosts')
  })
})

import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, describe as suite, test } from 'vitest'
import { type Config, describe, environment, InvalidConfiguration, misspelt, parse } from '../src/config/index.ts'

const key = () => randomBytes(32).toString('base64')
const url = 'postgres://postern:hunter2-very-secret@db.example/postern?sslmode=verify-full'

/** Returns the message about an environment with mistakes. */
function mistakes(env: Record<string, string>): string {
  try {
    parse(env)
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidConfiguration)
    return (error as Error).message
  }
  return 'none'
}

suite('a setting', () => {
  test('has a default, so that an empty environment is a valid configuration', () => {
    expect(parse({})).toMatchObject({ ISSUER: 'http://localhost:3000', PORT: 3000, WORKERS: 1, REQUIRE_PKCE: 'always' })
    expect(parse({ PORT: '8080' }).ISSUER).toBe('http://localhost:8080')
  })

  test('counts as unset when it is empty', () => {
    expect(parse({ ISSUER: '', PORT: '', DATABASE_URL: '', ENCRYPTION_KEYS: '' })).toEqual(parse({}))
  })

  test.each([
    ['10.0.0.0/99', 'has the range 10.0.0.0/99: after the slash of an IPv4 address comes a number from 0 to 32'],
    ['::1/129', 'has the range ::1/129: after the slash of an IPv6 address comes a number from 0 to 128'],
    ['127.0.0.1,10.0.0.0/', 'has the range 10.0.0.0/: after the slash'],
    ['10.0.0.256', 'must be addresses or CIDR ranges'],
    ['10.0.0.0/8/8', 'must be addresses or CIDR ranges'],
    ['fe80::1%eth0', 'must be addresses or CIDR ranges'],
    ['1:2', 'must be addresses or CIDR ranges'],
  ])('is rejected with the reason: TRUSTED_PROXIES=%s', (TRUSTED_PROXIES, reason) => {
    expect(mistakes({ TRUSTED_PROXIES })).toContain(`TRUSTED_PROXIES ${reason}`)
  })

  test('with a mistake is named together with all others in one message, each with what to do', () => {
    const message = mistakes({
      ISSUER: 'http://id.example',
      PORT: 'abc',
      DATABASE_URL: 'mysql://x',
      ENCRYPTION_KEYS: 'short',
      WORKERS: '0',
      LOG_LEVEL: 'loud',
      TRUSTED_PROXIES: 'everyone',
      REQUIRE_PKCE: 'never',
      ALLOW_FORM_POST: 'perhaps',
    })
    for (const name of [
      'ISSUER must be https',
      'PORT ',
      'DATABASE_URL must start with postgres://',
      'ENCRYPTION_KEYS key 1 must be 32 bytes in base64',
      'WORKERS ',
      'LOG_LEVEL ',
      'TRUSTED_PROXIES must be addresses or CIDR ranges',
      'REQUIRE_PKCE ',
      'ALLOW_FORM_POST ',
    ]) {
      expect(message).toContain(name)
    }
  })

  const numbers = ['PORT', 'WORKERS', 'DATABASE_POOL_SIZE', 'MAX_CONNECTIONS', 'KEPT_KILOBYTES_PER_CLIENT_PER_HOUR']
  const times = Object.keys(environment.in.shape).filter((name) => /_SECONDS$/.test(name))
  const choices = ['LOG_LEVEL', 'REQUIRE_PKCE', 'ALLOW_FORM_POST', 'MIGRATE_ON_START', 'SOFTWARE_STATEMENT_ISSUERS']
  const wrong = ['abc', '-1', '1e99', '1.5', '10 minutes', '[]', '[{}]', '[1]', '{', 'NaN', 'Infinity', '0x', '1_000']
  test.each([...numbers, ...times, ...choices])('is called wrong in plain words: %s', (name) => {
    for (const value of wrong) {
      const message = mistakes({ [name]: value })
      if (message === 'none') continue
      expect(message, value).toMatch(new RegExp(`\\n  ${name}\\S* (must|is|has) `))
      expect(message, value).not.toMatch(/invalid|expected|received|too (small|big)|NaN|option/i)
    }
  })

  test.each(times)('that is a duration is read as seconds or with a unit: %s', (name) => {
    const read = (value: string) => (parse({ [name]: value }) as Record<string, unknown>)[name]
    const written = { '90': 90, '90s': 90, '10m': 600, '1h': 3600, '1.5h': 5400, '1d': 86_400, '1.5d': 129_600 }
    const least = name === 'AUDIT_RETENTION_SECONDS' ? 86_400 : 0
    for (const [text, seconds] of Object.entries(written)) if (seconds >= least) expect(read(text)).toBe(seconds)
    for (const value of ['10x', '1h30', 'm', '-1h', '10 minutes']) {
      expect(mistakes({ [name]: value })).toContain(`${name} must be whole seconds, or a time such as 10m, 1h or 7d`)
    }
  })

  test('that is misspelt is reported with the one that was probably meant', () => {
    for (const meant of Object.keys(environment.in.shape).filter((name) => name.length > 5)) {
      const without = meant.slice(0, 2) + meant.slice(3)
      const swapped = `${meant.slice(0, 2)}${meant[3]}${meant[2]}${meant.slice(4)}`
      for (const name of [without, swapped, meant.toLowerCase(), `${meant}S`]) {
        if (name !== meant) expect(misspelt({ [name]: 'x' })).toEqual([{ name, meant }])
      }
    }
    expect(misspelt({ ACESS_TOKEN_TTL_SECONDS: '60' })).toEqual([
      { name: 'ACESS_TOKEN_TTL_SECONDS', meant: 'ACCESS_TOKEN_TTL_SECONDS' },
    ])
  })

  test('is not confused with variables of other programs', () => {
    const others = [
      'PATH',
      'HOME',
      'USER',
      'HOSTNAME',
      'DATABASE_USER',
      'DATABASE_NAME',
      'PGHOST',
      'PGPORT',
      'NODE_ENV',
    ]
    const kubernetes = ['POSTERN_PORT', 'POSTERN_SERVICE_HOST', 'POSTERN_SERVICE_PORT', 'LOG_FILE', 'PWD', 'SHLVL', '_']
    expect(misspelt(Object.fromEntries([...others, ...kubernetes].map((name) => [name, 'x'])))).toEqual([])
    expect(misspelt(Object.fromEntries(Object.keys(environment.in.shape).map((name) => [name, 'x'])))).toEqual([])
  })

  test('of a PKCS #11 token needs all the others', () => {
    const token = { PKCS11_MODULE: '/usr/lib/hsm.so', PKCS11_TOKEN: 'postern', PKCS11_PIN: '4938' }
    expect(parse(token)).toMatchObject({ PKCS11_MODULE: '/usr/lib/hsm.so', PKCS11_TOKEN: 'postern' })
    expect(mistakes({ ...token, PKCS11_TOKEN: '' })).toContain('PKCS11_TOKEN is required when PKCS11_MODULE is set')
    expect(mistakes({ ...token, PKCS11_PIN: '' })).toContain('PKCS11_PIN or PKCS11_PIN_FILE is required')
    expect(mistakes({ ...token, PKCS11_PIN_FILE: '/p' })).toContain('PKCS11_PIN and PKCS11_PIN_FILE cannot both be set')
    expect(mistakes({ ...token, PKCS11_MODULE: '' })).toContain('PKCS11_MODULE is required')
    expect(mistakes({ ...token, PKCS11_MODULE: 'hsm.so' })).toContain('PKCS11_MODULE must be the absolute path')
    expect(describe(parse(token))).not.toContain('4938')
  })

  test('is checked against another even when a third is wrong', () => {
    const message = mistakes({ DATABASE_URL: url, WORKERS: 'many' })
    expect(message).toContain('WORKERS')
    expect(message).toContain('ENCRYPTION_KEYS is required when DATABASE_URL is set')
  })

  test('cannot be changed once it has been read', () => {
    expect(Object.isFrozen(parse({}))).toBe(true)
  })

  test('has a description', () => {
    for (const [name, field] of Object.entries(environment.in.shape)) {
      expect([name, field.description]).toEqual([name, expect.stringMatching(/\.$/)])
    }
  })
})

suite('OpenID Connect Discovery §3: ISSUER', () => {
  test.each([
    ['http://id.example', 'must be https'],
    ['http://localhost.example', 'must be https'],
    ['http://127.0.0.1.example', 'must be https'],
    ['https://id.example/', 'must have no trailing slash, query or fragment'],
    ['https://id.example?x=y', 'must have no trailing slash, query or fragment'],
    ['https://id.example#x', 'must have no trailing slash, query or fragment'],
    ['https://id.example/tenant', 'must have no path'],
    ['ftp://id.example', 'must be an http(s) URL'],
    ['id.example', 'must be an http(s) URL'],
    [
      'https://Login.Example.com',
      'must be spelled as URLs are compared, in lower case and ASCII, without a default port: https://login.example.com',
    ],
    [
      'HTTPS://id.example',
      'must be spelled as URLs are compared, in lower case and ASCII, without a default port: https://id.example',
    ],
    [
      'https://id.example:443',
      'must be spelled as URLs are compared, in lower case and ASCII, without a default port: https://id.example',
    ],
    [
      'http://localhost:80',
      'must be spelled as URLs are compared, in lower case and ASCII, without a default port: http://localhost',
    ],
    [
      'https://bücher.example',
      'must be spelled as URLs are compared, in lower case and ASCII, without a default port: https://xn--bcher-kva.example',
    ],
    ['https://id.example.', 'must have no dot at the end of its host: https://id.example'],
    ['https://id.example.:8443', 'must have no dot at the end of its host: https://id.example:8443'],
    ['https://ada:hunter2@id.example', 'must have no user or password in it: https://id.example'],
  ])('cannot be %s', (ISSUER, reason) => {
    expect(mistakes({ ISSUER })).toContain(`ISSUER ${reason}`)
  })

  test.each([
    'https://id.example',
    'https://id.example:8443',
    'http://localhost:3000',
    'http://127.0.0.1',
    'http://[::1]',
  ])('can be %s', (ISSUER) => {
    expect(parse({ ISSUER }).ISSUER).toBe(ISSUER)
  })

  test('must be set when the port is picked freely', () => {
    expect(mistakes({ PORT: '0' })).toContain('ISSUER is required when PORT is 0')
  })
})

suite('ENCRYPTION_KEYS', () => {
  test('is required with DATABASE_URL', () => {
    expect(mistakes({ DATABASE_URL: url })).toContain(
      'ENCRYPTION_KEYS is required when DATABASE_URL is set. If something is encrypted with it, restore it from where',
    )
  })

  test('may be in a file instead, but not in both places', () => {
    const ENCRYPTION_KEYS_FILE = '/run/secrets/encryption-keys'
    expect(parse({ DATABASE_URL: url, ENCRYPTION_KEYS_FILE }).ENCRYPTION_KEYS_FILE).toBe(ENCRYPTION_KEYS_FILE)
    expect(mistakes({ DATABASE_URL: url, ENCRYPTION_KEYS: key(), ENCRYPTION_KEYS_FILE })).toContain(
      'ENCRYPTION_KEYS_FILE cannot be set together with ENCRYPTION_KEYS',
    )
  })

  test('may hold several keys, in either base64 alphabet, with or without padding', () => {
    const url = key().replaceAll('+', '-').replaceAll('/', '_')
    const [one, two, three] = [key(), url, key().slice(0, -1)]
    const { ENCRYPTION_KEYS } = parse({ ENCRYPTION_KEYS: ` ${one} , ${two},${three}` })
    expect(ENCRYPTION_KEYS?.map((secret) => secret.reveal())).toEqual([one, two, three])
  })

  const whole = `${'kE'.repeat(21)}Q=`
  test.each([
    ['is truncated', whole.slice(0, 40)],
    ['is truncated by one character', whole.slice(0, 42)],
    ['is too long', `${whole.slice(0, -1)}AA=`],
    ['is half as long', randomBytes(16).toString('base64')],
    ['is in hexadecimal', randomBytes(32).toString('hex')],
    ['has a stray character that Node.js skips', `${whole.slice(0, 20)}*${whole.slice(20)}`],
    ['has a space in it', `${whole.slice(0, 20)} ${whole.slice(20)}`],
    ['is quoted', `"${whole}"`],
    ['has bits at the end that belong to no byte', `${whole.slice(0, 42)}R=`],
    ['is missing after a comma', ''],
  ])('is rejected if a key %s: the message gives its position and nothing of the key', (_what, wrong) => {
    const message = mistakes({ ENCRYPTION_KEYS: `${key()},${wrong},${key()}` })
    expect(message).toContain('ENCRYPTION_KEYS key 2 must be 32 bytes in base64')
    expect(message).toContain('openssl rand -base64 32')
    if (wrong) expect(message).not.toContain(wrong.slice(0, 8))
  })

  test('is rejected if a key is all zeros', () => {
    expect(mistakes({ ENCRYPTION_KEYS: `${key()},${Buffer.alloc(32).toString('base64')}` })).toContain(
      'ENCRYPTION_KEYS key 2 must not be all zeros',
    )
  })

  test('is rejected if a key is there twice, whatever its spellings', () => {
    const one = Buffer.alloc(32, 0xfb)
    const twice = [key(), one.toString('base64'), one.toString('base64url')].join()
    expect(mistakes({ ENCRYPTION_KEYS: twice })).toContain('ENCRYPTION_KEYS key 3 is there twice')
  })
})

suite('EGRESS_PRIVATE_HOSTS', () => {
  test('is empty by default', () => {
    expect(parse({}).EGRESS_PRIVATE_HOSTS).toEqual([])
  })

  test('keeps hosts as a URL spells them, with the port unless it is 443', () => {
    const EGRESS_PRIVATE_HOSTS = 'Apps.Internal, api.internal:8443 ,login.internal:443,[FD00::1]:8443,'
    expect(parse({ EGRESS_PRIVATE_HOSTS }).EGRESS_PRIVATE_HOSTS).toEqual([
      'apps.internal',
      'api.internal:8443',
      'login.internal',
      '[fd00::1]:8443',
    ])
  })

  test.each([
    '*.internal',
    '*',
    'https://apps.internal',
    'apps.internal/path',
    'user@apps.internal',
    'apps.internal:port',
    '10.0.0.0/8',
    'apps.internal api.internal',
  ])('rejects %s', (EGRESS_PRIVATE_HOSTS) => {
    expect(mistakes({ EGRESS_PRIVATE_HOSTS })).toContain('EGRESS_PRIVATE_HOSTS must be whole host names')
  })
})

suite('CLIENT_ID_METADATA_DOCUMENTS', () => {
  test('is empty by default', () => {
    expect(parse({}).CLIENT_ID_METADATA_DOCUMENTS).toEqual([])
  })

  test('keeps hosts as a URL spells them, with the port unless it is 443', () => {
    const CLIENT_ID_METADATA_DOCUMENTS = 'Claude.ai, *.Example.com ,localhost:8443,login.example:443,*'
    expect(parse({ CLIENT_ID_METADATA_DOCUMENTS }).CLIENT_ID_METADATA_DOCUMENTS).toEqual([
      'claude.ai',
      '*.example.com',
      'localhost:8443',
      'login.example',
      '*',
    ])
  })

  test.each(['https://claude.ai', 'claude.ai/app', '**', '*claude.ai', 'a.*', '*.*.example.com', '*.'])(
    'rejects %s',
    (CLIENT_ID_METADATA_DOCUMENTS) => {
      expect(mistakes({ CLIENT_ID_METADATA_DOCUMENTS })).toContain('CLIENT_ID_METADATA_DOCUMENTS must be * or hosts')
    },
  )
})

suite('SOFTWARE_STATEMENT_ISSUERS', () => {
  const trust = (list: unknown) => ({ SOFTWARE_STATEMENT_ISSUERS: JSON.stringify(list) })
  const issuer = 'https://publisher.example'
  const jwks = { keys: [{ kty: 'EC' }] }
  const jwks_uri = `${issuer}/jwks`

  test('trusts nobody by default', () => {
    expect(parse({}).SOFTWARE_STATEMENT_ISSUERS).toEqual([])
  })

  test('names each issuer with its keys, given or fetched, and is described as it was given', () => {
    const list = [
      { issuer, jwks_uri },
      { issuer: 'publisher', jwks },
    ]
    const config = parse(trust(list))
    expect(config.SOFTWARE_STATEMENT_ISSUERS).toEqual(list)
    expect(describe(config)).toContain(`SOFTWARE_STATEMENT_ISSUERS=${JSON.stringify(list)}`)
  })

  test.each<[string, Record<string, string>, string]>([
    ['text that is not JSON', { SOFTWARE_STATEMENT_ISSUERS: issuer }, ' must be JSON'],
    ['JSON that is not a list', trust({ issuer, jwks_uri }), ' '],
    ['an issuer without keys', trust([{ issuer }]), '.0 must have either jwks or jwks_uri'],
    ['an issuer with keys given twice', trust([{ issuer, jwks, jwks_uri }]), '.0 must have either jwks or jwks_uri'],
    [
      'an issuer with keys over http',
      trust([{ issuer, jwks_uri: 'http://publisher.example' }]),
      '.0.jwks_uri must be an https URL',
    ],
    ['an issuer without a name', trust([{ jwks }]), '.0.issuer '],
    ['an issuer with an empty name', trust([{ issuer: '', jwks }]), '.0.issuer '],
    ['an issuer with an unknown member', trust([{ issuer, jwks, trust: 'full' }]), '.0 '],
    ['an issuer named twice', trust([1, 2].map(() => ({ issuer, jwks }))), ' must name each issuer once'],
  ])('rejects %s', (_what, env, reason) => {
    expect(mistakes(env)).toContain(`SOFTWARE_STATEMENT_ISSUERS${reason}`)
  })
})

suite('DATABASE_URL', () => {
  const good = { ENCRYPTION_KEYS: key() }
  const at = (DATABASE_URL: string, more = {}) => mistakes({ ...good, DATABASE_URL, ...more })
  const demanded = 'DATABASE_URL must have sslmode=verify-full'

  test.each([
    'postgres://u:p@localhost/postern',
    'postgres://u:p@LocalHost:5433/postern',
    'postgresql://u:p@127.0.0.1/postern',
    'postgres://u:p@127.8.9.1/postern',
    'postgres://u:p@[::1]:5433/postern',
    'postgres://u:p@%6cocalhost/postern',
    'postgres://u:p@%2Frun%2Fpostgresql/postern',
    'postgres://u:p@%2Frun%2Fpostgresql:5433/postern',
    'postgres:///postern?host=/run/postgresql',
    'postgres://u:p@/postern?host=/run/postgresql',
    'postgres://u:p@/postern?host=%2Frun%2Fpostgresql',
    'postgres://u:p@db.example/postern?host=/run/postgresql',
    'postgres://u:p@db.example/postern?host=localhost',
    'postgres:///postern?host=::1',
    'postgres://u:p@localhost/postern?sslmode=disable',
    'postgres://u:p@localhost/postern?sslmode=no-verify',
    'postgres://u:p@db.example/postern?sslmode=verify-full',
    'postgres://u:p@db.example/postern?sslrootcert=/ca.pem&sslmode=verify-full',
    'postgres://u:p@10.0.0.5/postern?sslmode=verify-full',
    'postgres://u:p@[fd00::1]/postern?sslmode=verify-full',
    'postgres://u:p@db.example/postern?sslmode=disable&sslmode=verify-full', // the last of two counts
  ])('is accepted when it stays on this machine or verifies the server: %s', (address) => {
    expect(at(address)).toBe('none')
  })

  test.each([
    'postgres://u:p@db.example/postern',
    'postgres://u:p@db.example/postern?sslmode=disable',
    'postgres://u:p@db.example/postern?sslmode=allow',
    'postgres://u:p@db.example/postern?sslmode=prefer',
    'postgres://u:p@db.example/postern?sslmode=require',
    'postgres://u:p@db.example/postern?sslmode=no-verify',
    'postgres://u:p@db.example/postern?sslmode=verify-ca',
    'postgres://u:p@db.example/postern?sslmode=verify-full&sslmode=disable',
    'postgres://u:p@db.example/postern?SSLMODE=verify-full',
    'postgres://u:p@db.example/postern?ssl=true',
    'postgres://u:p@db.example/postern?sslrootcert=/ca.pem',
    'postgres://u:p@db.example/postern#?sslmode=verify-full',
    'postgres://u:p@10.0.0.5/postern',
    'postgres://u:p@0.0.0.0/postern',
    'postgres://u:p@[fd00::1]/postern',
    'postgres://u:p@[::]/postern',
    'postgres://u:p@[::ffff:10.0.0.5]/postern',
    'postgres://u:p@128.0.0.1/postern',
    'postgres://u:p@127.1/postern', // such spellings are resolved as host names
    'postgres://u:p@2130706433/postern',
    'postgres://u:p@db.localhost/postern',
    'postgres://u:p@localhost./postern',
    'postgres://u:p@localhost.example/postern',
    'postgres://u:p@127.0.0.1.example/postern',
    'postgres://localhost@db.example/postern',
    'postgres://localhost:localhost@db.example/localhost',
    'postgres://u:p@localhost/postern?host=db.example',
    'postgres://u:p@localhost/postern?host=localhost&host=db.example',
    'postgres:///postern?host=db.example',
    'postgres://u:p@localhost/postern?host=db.example&sslmode=require',
    'postgres://u:p@%64b.example/postern',
    'postgres://u:1/localhost@localhost/postern', // the slash ends the host, which is `u`
  ])('is rejected when it leaves this machine without verifying the server: %s', (address) => {
    expect(at(address)).toContain(demanded)
    expect(at(address)).toContain('Add ?sslmode=verify-full')
    expect(at(address, { INSECURE_DATABASE_CONNECTION: 'false' })).toContain(demanded)
    expect(at(address, { INSECURE_DATABASE_CONNECTION: 'true' })).toBe('none')
  })

  test.each([
    ['has no host', 'postgres:///postern', 'must name its host'],
    ['has a user but no host', 'postgres://u:p@/postern', 'must name its host'],
    ['has an empty host', 'postgres:///postern?host=&sslmode=verify-full', 'must name its host'],
    ['has several hosts', 'postgres://u:p@localhost,db.example/postern', 'must name one host'],
    ['has several ports', 'postgres://u:p@localhost:1,db.example:2/postern', 'must name one host'],
    ['has several hosts and no user', 'postgresql://a:5432,b:5432/postern', 'must name one host'],
    ['has a comma in the password', 'postgres://u:p,hunter2@[not a host/postern', 'must be a URL'],
    ['has several hosts in a parameter', 'postgres:///p?host=localhost,db.example', 'must name one host'],
    ['has an unknown sslmode', 'postgres://u:p@localhost/postern?sslmode=verify_full', 'must have an sslmode that'],
    [
      'has an sslmode in upper case',
      'postgres://u:p@localhost/postern?sslmode=VERIFY-FULL',
      'must have an sslmode that',
    ],
    [
      'asks for the rules of libpq',
      'postgres://u:p@localhost/postern?uselibpqcompat=true',
      'must not have uselibpqcompat',
    ],
    ['is not a URL', 'postgres://u:hunter2@[not a host/postern', 'must be a URL'],
  ])('is rejected when it %s, even with INSECURE_DATABASE_CONNECTION', (_what, address, problem) => {
    for (const INSECURE_DATABASE_CONNECTION of ['false', 'true']) {
      const message = at(address, { INSECURE_DATABASE_CONNECTION })
      expect(message).toContain(`DATABASE_URL ${problem}`)
      expect(message).not.toContain('hunter2')
    }
  })
})

suite('a secret', () => {
  const encryptionKey = key()
  const config: Config = parse({ DATABASE_URL: url, ENCRYPTION_KEYS: encryptionKey })

  test('is masked when the configuration is described, and the rest is not', () => {
    const text = describe(config)
    expect(text).toContain('DATABASE_URL=postgres://postern:[secret]@db.example/postern?sslmode=verify-full')
    expect(text).toContain('ENCRYPTION_KEYS=[secret]')
    expect(text).toContain('PORT=3000')
    expect(text).not.toContain('hunter2')
    expect(text).not.toContain(encryptionKey)
  })

  const localhost = 'postgres://localhost/postern'
  test.each([
    `${localhost}?user=postern&password=hunter2-very-secret`,
    `${localhost}?PASSWORD=hunter2-very-secret`,
    `${localhost}?Password=hunter2-very-secret&sslmode=disable`,
    `${localhost}?pass%77ord=hunter2-very-secret`,
    `${localhost}?sslpassword=hunter2-very-secret`,
    `${localhost}?passfile=hunter2-very-secret`,
    `${localhost}?sslmode=disable&password=hunter2-very-secret&password=x`,
    'postgres:///postern?host=/run/postgresql&password=hunter2-very-secret',
    'postgres://postern@/postern?host=/run/postgresql&password=hunter2-very-secret',
    'postgres://postern:hunter2-very-secret%40x@localhost/postern',
    'postgres://postern:100%hunter2-very-secret@localhost/postern',
  ])('is masked wherever a password can stand in a database address: %s', (address) => {
    const text = describe(parse({ DATABASE_URL: address, ENCRYPTION_KEYS: encryptionKey }))
    expect(text).toMatch(/^DATABASE_URL=.*\[secret\]/m)
    expect(text).not.toContain('hunter2')
  })

  test('does not keep the rest of a database address from being shown', () => {
    const address =
      'postgres://ada@db.example:5433/postern?sslmode=verify-full&sslrootcert=/etc/ca.pem&application_name=x'
    const text = describe(parse({ DATABASE_URL: address, ENCRYPTION_KEYS: encryptionKey }))
    expect(text).toContain(`DATABASE_URL=${address}`)
  })

  test('cannot be printed by accident', () => {
    for (const text of [
      String(config.DATABASE_URL),
      JSON.stringify(config),
      inspect(config, { depth: 9 }),
      `${config.ENCRYPTION_KEYS}`,
    ]) {
      expect(text).not.toContain('hunter2')
      expect(text).not.toContain(encryptionKey)
    }
  })

  test('is not in a message about mistakes', () => {
    const message = mistakes({ DATABASE_URL: url.replace('postgres', 'mysql'), ENCRYPTION_KEYS: `${encryptionKey},x` })
    expect(message).not.toContain('hunter2')
    expect(message).not.toContain(encryptionKey)
  })
})

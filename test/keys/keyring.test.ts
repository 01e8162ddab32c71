import { randomBytes } from 'node:crypto'
import type { JWK } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { assemble, type Postern } from '../../src/assemble/index.ts'
import { parse } from '../../src/config/index.ts'
import { createEnvelope } from '../../src/crypto/envelope.ts'
import { type Keyring, load, type SigningKey } from '../../src/keys/keyring.ts'
import { createLogger } from '../../src/log/index.ts'
import { createProvider } from '../../src/oidc/configuration.ts'
import { createPages } from '../../src/oidc/pages.ts'
import { createDynamicRegistration } from '../../src/oidc/registration/by-client.ts'
import { secret } from '../../src/secret.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { privateJwks } from '../support/keys.ts'
import { environmentFor } from '../support/postern.ts'

let database: TestDatabase
let env: Record<string, string>
const assembled: Postern[] = []

beforeAll(async () => {
  database = await createDatabase()
  env = await environmentFor(database.url)
  await begin()
})
afterEach(async () => {
  for (const postern of assembled.splice(1)) await postern.close()
})
afterAll(async () => {
  for (const postern of assembled) await postern.close()
  await database?.drop()
})

async function begin(settings: Record<string, string> = {}): Promise<Postern> {
  const postern = await assemble(parse({ ...env, ...settings }), { log: createLogger('silent') })
  assembled.push(postern)
  return postern
}

/** Returns every value of a keyring, for a comparison. */
const revealed = ({ signing, ...rest }: Keyring) => ({
  signing: signing.map(({ signer, ...key }) => ({ ...key, signs: signer !== undefined })),
  ...Object.fromEntries(
    Object.entries(rest).map(([name, value]) => [name, typeof value === 'string' ? value : value.reveal()]),
  ),
})

const first = () => assembled[0] as Postern

describe('OpenID Connect Core §15.1: the keys created at the first start', () => {
  test('include RS256, besides PS256, ES256 and EdDSA, each with kid, alg and use', () => {
    const signing = privateJwks(first().keyring)
    expect(signing.map(({ alg }) => alg).sort()).toEqual(['ES256', 'EdDSA', 'PS256', 'RS256'])
    for (const key of signing) expect(key).toMatchObject({ kid: expect.any(String), use: 'sig', d: expect.any(String) })
  })

  test('are the same in every process and after a restart', async () => {
    expect(revealed((await begin()).keyring)).toEqual(revealed(first().keyring))
  })

  test('are one set, even if several processes start for the first time at once', async () => {
    const fresh = await createDatabase()
    const config = parse({ ...env, DATABASE_URL: fresh.url })
    const begun = await Promise.all(Array.from({ length: 4 }, () => assemble(config, { log: createLogger('silent') })))
    const [one, ...others] = begun.map(({ keyring }) => revealed(keyring))
    for (const other of others) expect(other).toEqual(one)
    expect(one?.signing).toHaveLength(4)
    for (const postern of begun) await postern.close()
    await fresh.drop()
  })

  test('are sealed in the database', async () => {
    const signing = privateJwks(first().keyring)
    const cookieKeys = first().keyring.cookieKeys.reveal()
    const rows = await database.query('select t::text from keys t')
    const text = JSON.stringify(rows)
    for (const secret of [...signing.map(({ d }) => String(d)), ...cookieKeys]) expect(text).not.toContain(secret)
  })
})

describe('ENCRYPTION_KEYS', () => {
  const other = randomBytes(32).toString('base64')

  test('stops the start when it lacks a key, names that key, and changes nothing', async () => {
    const before = await database.query('select t::text from keys t')
    await expect(begin({ ENCRYPTION_KEYS: other })).rejects.toThrow(
      /is sealed with key [0-9a-f]{8}, which is not in ENCRYPTION_KEYS/,
    )
    expect(await database.query('select t::text from keys t')).toEqual(before)
  })

  test('with a new key in front still opens values that the old one sealed', async () => {
    const rotated = await begin({ ENCRYPTION_KEYS: `${other},${env['ENCRYPTION_KEYS']}` })
    expect(revealed(rotated.keyring)).toEqual(revealed(first().keyring))
  })
})

describe('building a provider', () => {
  const build = (change: Partial<Keyring>) => {
    const { config, keyring, storage, resourceServers, render, findStoppedSignIn } = first()
    const pages = createPages({ render, findStoppedSignIn, explain: undefined })
    const registration = createDynamicRegistration({ storage, verifyStatement: async () => ({ claims: {} }) })
    return createProvider({
      config,
      logos: { of: async () => undefined },
      keyring: { ...keyring, ...change },
      storage,
      resourceServers,
      documents: undefined,
      pages,
      registration,
      fetch,
    })
  }
  const without = (alg: string) => first().keyring.signing.filter((key) => key.alg !== alg)

  test('succeeds with all keys', () => {
    expect(build({})).toBeDefined()
  })

  test('fails without an RS256 key', () => {
    expect(() => build({ signing: without('RS256') })).toThrow('There is no RS256 signing key')
    expect(() => build({ signing: [] })).toThrow('There is no RS256 signing key')
  })

  test.each(['kid', 'alg', 'use'] as const)('fails with a key that has no %s', (member) => {
    const [key, ...rest] = first().keyring.signing as [SigningKey, ...SigningKey[]]
    const { [member]: _, ...publicJwk } = key.publicJwk
    expect(() => build({ signing: [{ ...key, publicJwk: publicJwk as JWK }, ...rest] })).toThrow(
      'Every signing key needs kid, alg and use.',
    )
  })

  test('fails when another key of an algorithm precedes the one that signs, because the engine would use it', async () => {
    const next = { ...(without('RS256')[0] as SigningKey), kid: 'next', signer: undefined, state: 'pending' as const }
    const named = { ...next, publicJwk: { ...next.publicJwk, kid: 'next' } }
    expect(build({ signing: [...first().keyring.signing, named] })).toBeDefined()
    expect(() => build({ signing: [named, ...first().keyring.signing] })).toThrow(
      `The first ${next.alg} signing key must be the one that signs.`,
    )
  })

  test.each([
    ['no cookie key', []],
    ['an empty cookie key', ['']],
    ['a short cookie key', ['x'.repeat(31)]],
    ['a short cookie key besides a valid one', ['x'.repeat(43), 'x'.repeat(8)]],
  ])('fails with %s', (_what, cookieKeys) => {
    expect(() => build({ cookieKeys: secret(cookieKeys) })).toThrow('Cookies need a signing key of at least 32 bytes')
  })

  test('fails with a DPoP nonce secret that is not 32 bytes', () => {
    for (const bytes of [0, 16, 33]) {
      expect(() => build({ dpopNonceSecret: secret(Buffer.alloc(bytes)) })).toThrow(
        'The DPoP nonce secret must have 32 bytes',
      )
    }
  })
})

describe('a start', () => {
  test('names the command to run when the schema is outdated and migrations are left to somebody', async () => {
    const empty = await createDatabase()
    await empty.query('drop schema public cascade')
    await empty.query('create schema public')
    await expect(begin({ DATABASE_URL: empty.url, MIGRATE_ON_START: 'false' })).rejects.toThrow('Run: postern migrate')
    await begin({ DATABASE_URL: empty.url, MIGRATE_ON_START: 'true' })
    await assembled.pop()?.close()
    await empty.drop()
  })

  test('loads the keys from the database each time, with the given envelope', async () => {
    const envelope = createEnvelope(parse(env).ENCRYPTION_KEYS ?? [])
    expect(revealed(await load({ ...first().keys, envelope }))).toEqual(revealed(first().keyring))
  })
})

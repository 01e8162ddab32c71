import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compactVerify, importJWK, type JWK } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/index.ts'
import { generate, publicPart, type SigningAlgorithm } from '../../src/crypto/keys.ts'
import type { KeyService } from '../../src/keys/key-service.ts'
import { CKA, CKO } from '../../src/keys/pkcs11/constants.ts'
import { open } from '../../src/keys/pkcs11/index.ts'
import { openToken } from '../../src/keys/pkcs11/token.ts'
import { secret } from '../../src/secret.ts'
import { createToken, hasSoftHsm, pin, type SoftToken, softhsm } from '../support/softhsm.ts'

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const
const run = promisify(execFile)
const program = join(import.meta.dirname, 'signing-process.ts')
const opened: KeyService[] = []
let token: SoftToken

beforeAll(async () => {
  if (hasSoftHsm) token = await createToken()
})
afterEach(async () => {
  for (const service of opened.splice(0)) await service.close()
})
afterAll(() => token?.remove())

async function service(config: Config = token.config): Promise<KeyService> {
  const found = await open(config)
  if (!found) throw new Error('There is no key-management service.')
  opened.push(found)
  return found
}

const signingInput = (alg: string) => `${Buffer.from(JSON.stringify({ alg })).toString('base64url')}.e30`

/** Returns whether relying parties accept a signature over `signingInput(alg)`. */
async function verifies(alg: SigningAlgorithm, publicJwk: JWK, signature: Buffer): Promise<boolean> {
  const jws = `${signingInput(alg)}.${signature.toString('base64url')}`
  return compactVerify(jws, await importJWK(publicJwk, alg), { algorithms: [alg] }).then(
    () => true,
    () => false,
  )
}

describe.runIf(hasSoftHsm)('a PKCS #11 token', () => {
  test('signs with every algorithm that it supports, which excludes ML-DSA', async () => {
    expect((await service()).algorithms).toEqual(algorithms)
  })

  test.each(algorithms)('creates %s keys whose signatures verify with the public key alone', async (alg) => {
    const { generate, sign } = await service()
    const [one, other] = [await generate(alg, `${alg}-one`), await generate(alg, `${alg}-other`)]
    const signature = await sign(one.reference, alg, Buffer.from(signingInput(alg)))
    expect(await verifies(alg, one.publicJwk, signature)).toBe(true)
    expect(await verifies(alg, other.publicJwk, signature)).toBe(false)
    expect(await verifies(alg, one.publicJwk, await sign(one.reference, alg, Buffer.from('something else')))).toBe(
      false,
    )
  })

  test.each(algorithms)('describes %s keys with the same members as a key in the database', async (alg) => {
    const { publicJwk } = await (await service()).generate(alg, `${alg}-members`)
    const { kid: _, alg: __, use: ___, ...members } = publicPart(await generate(alg))
    expect(Object.keys(publicJwk).sort()).toEqual(Object.keys(members).sort())
  })

  test('makes a hundred signatures at once that all verify', async () => {
    const { generate, sign } = await service()
    const { reference, publicJwk } = await generate('ES256', 'many')
    const data = () => Buffer.from(signingInput('ES256'))
    const signatures = await Promise.all(Array.from({ length: 100 }, () => sign(reference, 'ES256', data())))
    expect(new Set(signatures.map(String)).size).toBe(100)
    for (const signature of signatures) expect(await verifies('ES256', publicJwk, signature)).toBe(true)
  })

  test('reveals no private key, and lists each for an operator under its kid', async () => {
    await (await service()).generate('RS256', 'for-an-operator')
    const listed = await token.tool('--list-objects', '--type', 'privkey')
    const entry = listed.slice(listed.lastIndexOf('Private Key', listed.indexOf('for-an-operator')))
    expect(entry).toMatch(/label: +for-an-operator\n/)
    expect(entry).toMatch(/Usage: +sign\n/)
    expect(entry).toMatch(/Access: +sensitive, always sensitive, never extractable, local\n/)

    const privateExponent = 0x123
    const found = await openToken({ module: softhsm, label: 'postern', pin: secret(pin) }, 0)
    await expect(
      found.use(async ({ cryptoki, handle }) => {
        cryptoki.C_FindObjectsInit(handle, [{ type: CKA.CLASS, value: CKO.PRIVATE_KEY }])
        const [key] = cryptoki.C_FindObjects(handle, 1)
        return cryptoki.C_GetAttributeValue(handle, key as Buffer, [{ type: privateExponent }])
      }),
    ).rejects.toThrow('CKR_ATTRIBUTE_SENSITIVE')
    await found.close()
  })

  test('destroys a key permanently, and succeeds when it is already gone', async () => {
    const { generate, sign, destroy } = await service()
    const gone = await generate('ES256', 'to-be-destroyed')
    const stays = await generate('ES256', 'to-be-kept')
    await sign(gone.reference, 'ES256', Buffer.from('x'))
    await destroy(gone.reference)
    await destroy(gone.reference)
    await expect(sign(gone.reference, 'ES256', Buffer.from('x'))).rejects.toThrow(
      'The token has no private key to-be-destroyed.',
    )
    expect(await token.tool('--list-objects')).not.toContain('to-be-destroyed')
    await sign(stays.reference, 'ES256', Buffer.from('x'))
  })

  test('keeps a key for the next process, under its reference', async () => {
    const first = await service()
    const { reference, publicJwk } = await first.generate('EdDSA', 'lasting')
    await first.close()
    const signature = await (await service()).sign(reference, 'EdDSA', Buffer.from(signingInput('EdDSA')))
    expect(await verifies('EdDSA', publicJwk, signature)).toBe(true)
  })

  test('can be used by several processes at once', async () => {
    const { sign } = await service()
    const children = await Promise.all(
      ['RS256', 'ES256'].map(async (alg) => {
        const { stdout } = await run('node', [program, alg, `process-${alg}`, '20'], {
          env: { ...process.env, ...token.env },
        })
        return { alg: alg as SigningAlgorithm, ...JSON.parse(stdout) }
      }),
    )
    for (const { alg, reference, publicJwk, signatures, error } of children) {
      expect(error).toBeUndefined()
      expect(signatures).toHaveLength(20)
      const signature = await sign(reference, alg, Buffer.from(signingInput(alg)))
      expect(await verifies(alg, publicJwk, signature)).toBe(true)
    }
  })

  test('has one login by a process, however much the process does', async () => {
    const before = await token.logins()
    const { generate, sign } = await service(token.with({ PKCS11_MODULE: token.spy }))
    const { reference } = await generate('ES256', 'one-login')
    await Promise.all(Array.from({ length: 20 }, () => sign(reference, 'ES256', Buffer.from('x'))))
    expect((await token.logins()) - before).toBe(1)
  })

  test('may have its PIN in a file', async () => {
    const path = join(token.env['SOFTHSM2_CONF'] ?? '', '..', 'pin')
    await writeFile(path, `${pin}\n`)
    const { algorithms: found } = await service(token.with({ PKCS11_PIN: '', PKCS11_PIN_FILE: path }))
    expect(found).toHaveLength(4)
    const missing = token.with({ PKCS11_PIN: '', PKCS11_PIN_FILE: `${path}-missing` })
    await expect(open(missing)).rejects.toThrow('PKCS11_PIN_FILE cannot be read.')
  })
})

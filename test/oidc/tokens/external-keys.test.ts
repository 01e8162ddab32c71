import { generateKeyPairSync, sign as signWith } from 'node:crypto'
import { compactVerify, importJWK, type JWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { externalKey } from '../../../src/oidc/tokens/external-keys.ts'

const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const publicJwk: JWK = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'EdDSA', use: 'sig' }

describe('a key that the engine knows only by its public part', () => {
  test('signs with the function that it is given', async () => {
    const sign = async (data: Buffer) => signWith(null, data, privateKey)
    const key = externalKey({ kid: 'one', alg: 'EdDSA', publicJwk, sign })
    const input = `${Buffer.from('{"alg":"EdDSA"}').toString('base64url')}.e30`
    const signature = Buffer.from(await key.sign(Buffer.from(input))).toString('base64url')
    await compactVerify(`${input}.${signature}`, await importJWK(publicJwk, 'EdDSA'))
  })

  test('refuses to sign without one, so that a retired key signs no token', async () => {
    const key = externalKey({ kid: 'one', alg: 'EdDSA', publicJwk })
    await expect(key.sign(Buffer.from('x'))).rejects.toThrow('The EdDSA key one does not sign.')
  })

  test('has the same members as a key of the database, and no others', () => {
    const key = externalKey({ kid: 'one', alg: 'EdDSA', publicJwk })
    const { kid, alg, use, kty, crv, x, y, n, e, pub, key_ops, x5c } = key as unknown as Record<string, unknown>
    expect({ kid, alg, use, kty, crv, x }).toEqual(publicJwk)
    for (const absent of [y, n, e, pub, key_ops, x5c]) expect(absent).toBeUndefined()
  })
})

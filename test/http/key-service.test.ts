import { createRemoteJWKSet, customFetch, decodeProtectedHeader, type JWK, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { rotateUntil, signingKid } from '../support/keys.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'
import { createToken, hasSoftHsm, type SoftToken } from '../support/softhsm.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']
let token: SoftToken
let postern: TestPostern
const clients = new Map<string, ClientMetadata>()

describe.runIf(hasSoftHsm)('with its signing keys in a PKCS #11 token, the server', () => {
  beforeAll(async () => {
    token = await createToken()
    postern = await startPostern(token.settings)
    await postern.createAccount(email)
    for (const alg of algorithms) {
      clients.set(alg, await postern.createClient({ id_token_signed_response_alg: alg }))
    }
  })
  afterAll(async () => {
    await postern?.stop()
    await token?.remove()
  })

  const published = async () => (await send(postern, '/oauth/jwks')).json['keys'] as JWK[]

  async function verifiedKid(alg: string): Promise<string | undefined> {
    const { tokens } = await login(postern, clients.get(alg) as ClientMetadata, { email })
    const idToken = String(tokens.id_token)
    const keys = createRemoteJWKSet(new URL(`${postern.issuer}/oauth/jwks`), {
      [customFetch]: async () => Response.json({ keys: await published() }),
    })
    await jwtVerify(idToken, keys, { issuer: postern.issuer, algorithms: [alg] })
    return decodeProtectedHeader(idToken).kid
  }

  test.each(algorithms)(
    'signs ID tokens with %s by the key in the token, and stores no private key itself',
    async (alg) => {
      const kid = await verifiedKid(alg)
      expect(kid).toBe(signingKid(postern, alg))
      expect(await token.tool('--list-objects', '--type', 'privkey')).toContain(kid)
      const [row] = await postern.database.query('select sealed, service_reference from keys where id = $1', [kid])
      expect(row).toEqual({ sealed: null, service_reference: `pkcs11:id=${kid};type=private` })
    },
  )

  test('rotates keys: the next one signs, and the previous one is destroyed in the token but still verifies', async () => {
    const before = await verifiedKid('ES256')
    await rotateUntil(postern, new Date(Date.now() + 31 * 86_400_000))
    const after = await verifiedKid('ES256')
    expect(after).not.toBe(before)
    const kept = await token.tool('--list-objects')
    expect(kept).toContain(after)
    expect(kept).not.toContain(before)
    expect((await published()).map(({ kid }) => kid)).toContain(before)
  })

  test('publishes the same members for each key of an algorithm, whatever its state', async () => {
    for (const [alg, keys] of Map.groupBy(await published(), ({ alg }) => alg)) {
      expect(keys.length, alg).toBeGreaterThan(1)
      expect(new Set(keys.map((key) => Object.keys(key).sort().join())).size, alg).toBe(1)
    }
  })

  test('issues no ID token while the token is unavailable, reports the cause only in its log, and recovers afterwards', async () => {
    await token.takeAway()
    const refused = await login(postern, clients.get('EdDSA') as ClientMetadata, { email }).catch((error) => error)
    expect(refused).toBeInstanceOf(Error)
    expect(String(refused.cause?.error ?? refused.error ?? refused)).not.toContain('CKR_')
    expect((await send(postern, '/oauth/jwks')).status).toBe(200)
    await token.bringBack()
    await expect.poll(() => verifiedKid('EdDSA').catch(() => undefined)).toBeDefined()
  })
})

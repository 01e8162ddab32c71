import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

type Algorithm = 'ES256' | 'EdDSA' | 'RS256'

/** What a test makes an authenticator say, beside what it would say rightly. */
export type Said = {
  origin?: string
  rpId?: string
  challenge?: string
  /** The type of the client data: `webauthn.create` or `webauthn.get`. */
  type?: string
  counter?: number
  isUserPresent?: boolean
  isUserVerified?: boolean
  isBackupEligible?: boolean
  isBackedUp?: boolean
  userHandle?: string | undefined
  /** Changes the signature. */
  spoil?: boolean
}

/** A passkey in a software authenticator, and what it answers. */
export type SoftPasskey = {
  id: string
  /** Answers the options of a new passkey, as the JSON that a browser sends. */
  register(options: CreationOptions, said?: Said): string
  /** Answers the options of a sign-in. */
  authenticate(options: RequestOptions, said?: Said): string
  /** Returns another authenticator with the same keys and the same counter. */
  copy(): SoftPasskey
}

type CreationOptions = { challenge: string; user: { id: string }; rp: { id?: string | undefined } }
type RequestOptions = { challenge: string; rpId?: string | undefined }

// COSE_Key (RFC 9053 §7, RFC 8230 §4), with the parameters in the order of CTAP2.
function coseKey(algorithm: Algorithm, publicKey: KeyObject): Buffer {
  const jwk = publicKey.export({ format: 'jwk' })
  const part = (value: string | undefined) => Buffer.from(value ?? '', 'base64url')
  if (algorithm === 'ES256')
    return map([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, part(jwk.x)],
      [-3, part(jwk.y)],
    ])
  if (algorithm === 'EdDSA')
    return map([
      [1, 1],
      [3, -8],
      [-1, 6],
      [-2, part(jwk.x)],
    ])
  return map([
    [1, 3],
    [3, -257],
    [-1, part(jwk.n)],
    [-2, part(jwk.e)],
  ])
}

/** Encodes the few kinds of CBOR that an attestation has (RFC 8949 §3.1). */
function cbor(value: number | string | Buffer | 'empty'): Buffer {
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  return Buffer.concat([head(2, value.length), value])
}
const map = (entries: [number | string, number | string | Buffer][]) =>
  Buffer.concat([head(5, entries.length), ...entries.flatMap(([key, value]) => [cbor(key), cbor(value)])])

function head(major: number, length: number): Buffer {
  if (length < 24) return Buffer.from([(major << 5) | length])
  if (length < 256) return Buffer.from([(major << 5) | 24, length])
  const bytes = Buffer.from([(major << 5) | 25, 0, 0])
  bytes.writeUInt16BE(length, 1)
  return bytes
}

const digest = (data: string | Buffer) => createHash('sha256').update(data).digest()

function newKeys(algorithm: Algorithm) {
  if (algorithm === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return algorithm === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 2048 })
}

/**
 * Creates a passkey in software, with attestation `none`. It says what a test wants, also what no authenticator would.
 *
 * @param options.counts - Whether it counts its signatures. Synced passkeys do not.
 */
export function createPasskey(
  origin: string,
  {
    algorithm = 'ES256',
    counts = true,
    isSynced = false,
  }: { algorithm?: Algorithm; counts?: boolean; isSynced?: boolean } = {},
): SoftPasskey {
  const { publicKey, privateKey } = newKeys(algorithm)
  return passkeyWith({ id: randomBytes(16), counter: 0, userHandle: '' })

  function passkeyWith(state: { id: Buffer; counter: number; userHandle: string }): SoftPasskey {
    const id = state.id.toString('base64url')

    function dataFor(rpId: string, said: Said, attested?: Buffer): Buffer {
      const { isUserPresent = true, isUserVerified = true, isBackupEligible = isSynced, isBackedUp = isSynced } = said
      if (counts) state.counter++
      const flags =
        Number(isUserPresent) |
        (Number(isUserVerified) << 2) |
        (Number(isBackupEligible) << 3) |
        (Number(isBackedUp) << 4)
      const counter = Buffer.alloc(4)
      counter.writeUInt32BE(said.counter ?? state.counter)
      return Buffer.concat([
        digest(said.rpId ?? rpId),
        Buffer.from([flags | (attested ? 0x40 : 0)]),
        counter,
        attested ?? Buffer.alloc(0),
      ])
    }

    const clientData = (type: string, challenge: string, said: Said) =>
      Buffer.from(
        JSON.stringify({
          type: said.type ?? type,
          challenge: said.challenge ?? challenge,
          origin: said.origin ?? origin,
          crossOrigin: false,
        }),
      )

    const answer = (response: Record<string, unknown>) =>
      JSON.stringify({ id, rawId: id, type: 'public-key', clientExtensionResults: {}, response })

    return {
      id,
      register({ challenge, user, rp }, said = {}) {
        state.userHandle = user.id
        const length = Buffer.alloc(2)
        length.writeUInt16BE(state.id.length)
        const attested = Buffer.concat([Buffer.alloc(16), length, state.id, coseKey(algorithm, publicKey)])
        const authData = dataFor(rp.id ?? '', said, attested)
        const attestation = Buffer.concat([
          head(5, 3),
          cbor('fmt'),
          cbor('none'),
          cbor('attStmt'),
          head(5, 0),
          cbor('authData'),
          cbor(authData),
        ])
        return answer({
          clientDataJSON: clientData('webauthn.create', challenge, said).toString('base64url'),
          attestationObject: attestation.toString('base64url'),
          transports: ['internal'],
        })
      },
      authenticate({ challenge, rpId = '' }, said = {}) {
        const data = dataFor(rpId, said)
        const client = clientData('webauthn.get', challenge, said)
        const signed = Buffer.concat([data, digest(client)])
        const signature = sign(algorithm === 'EdDSA' ? null : 'sha256', signed, privateKey)
        if (said.spoil) signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1
        return answer({
          clientDataJSON: client.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          signature: signature.toString('base64url'),
          userHandle: 'userHandle' in said ? said.userHandle : state.userHandle,
        })
      },
      copy: () => passkeyWith({ ...state }),
    }
  }
}

import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import type { Secret } from '../secret.ts'

const version = 'v1'
const ivBytes = 12 // the nonce size of AES-GCM (NIST SP 800-38D §5.2.1.1)
const tagBytes = 16

/** Encrypts and decrypts values that are stored and read again: client secrets, private keys, request objects. */
export type Envelope = {
  /** The id of the first key, which seals. */
  sealingKeyId: string
  /** The ids of all keys: values sealed with any of them can be opened. */
  keyIds: readonly string[]
  /**
   * Encrypts with AES-256-GCM under the first key. `identity` names the row and column; opening requires the same one.
   */
  seal(plaintext: string, identity: string): string
  /** Returns the plaintext. Throws if the key is missing, or the value was changed or moved to another row. */
  open(sealed: string, identity: string): string
}

/** Creates an envelope with key-encryption keys (32 bytes in base64 each): the first seals, all open. */
export function createEnvelope(keys: readonly Secret[]): Envelope {
  const ring = new Map<string, Buffer>()
  for (const key of keys) {
    const bytes = Buffer.from(key.reveal(), 'base64')
    const id = createHash('sha256').update(bytes).digest('hex').slice(0, 8)
    if (ring.has(id)) throw new Error(`Two encryption keys have the id ${id}. Replace the newer one.`)
    ring.set(id, bytes)
  }
  const [first] = ring
  if (!first) throw new Error('At least one encryption key is required.')
  const [sealingId, sealingKey] = first

  return {
    sealingKeyId: sealingId,
    keyIds: [...ring.keys()],

    seal(plaintext, identity) {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', sealingKey, iv).setAAD(Buffer.from(identity))
      const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return [version, sealingId, iv.toString('base64url'), body.toString('base64url')].join('.')
    },

    open(sealed, identity) {
      const [found, keyId, iv, body] = sealed.split('.')
      if (found !== version || !keyId || !iv || !body) throw new Error(`Not a sealed value: ${identity}.`)
      const key = ring.get(keyId)
      if (!key) throw new Error(`${identity} is sealed with key ${keyId}, which is not in ENCRYPTION_KEYS.`)
      const bytes = Buffer.from(body, 'base64url')
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'))
          .setAAD(Buffer.from(identity))
          .setAuthTag(bytes.subarray(-tagBytes))
        return Buffer.concat([decipher.update(bytes.subarray(0, -tagBytes)), decipher.final()]).toString('utf8')
      } catch (cause) {
        throw new Error(`${identity} is damaged: it differs from the value that was sealed with key ${keyId}.`, {
          cause,
        })
      }
    },
  }
}

/** Returns the id of the key that sealed a value, without opening it. `undefined` if it is not a sealed value. */
export function keyIdOf(sealed: string): string | undefined {
  return /^v1\.([0-9a-f]{8})\./.exec(sealed)?.[1]
}

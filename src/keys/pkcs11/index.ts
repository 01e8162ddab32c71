import { readFile } from 'node:fs/promises'
import type { JWK } from 'jose'
import type { Config } from '../../config/index.ts'
import { postQuantumAlgorithms, type SigningAlgorithm, signingAlgorithms } from '../../crypto/keys.ts'
import { type Secret, secret } from '../../secret.ts'
import type { KeyService } from '../key-service.ts'
import { CKA, CKO, CKR } from './constants.ts'
import { codeOf, explained } from './cryptoki.ts'
import { type SigningMechanism, signingMechanisms } from './mechanisms.ts'
import type { Attribute, Handle, Mechanism } from './pkcs11js.ts'
import { openToken, type Session } from './token.ts'

const longestSignature = 1024 // bytes; more than any of these algorithms produces

/** Opens the configured PKCS #11 token, if there is one. While it is away, it is tried again every two seconds. */
export async function open(config: Config, { retryAfterMs = 2_000 } = {}): Promise<KeyService | undefined> {
  const { PKCS11_MODULE: module, PKCS11_TOKEN: label } = config
  if (!module || !label) return undefined
  const token = await openToken({ module, label, pin: await pinOf(config) }, retryAfterMs).catch(fail)
  const has = ({ keyGeneration, signature }: SigningMechanism) =>
    [keyGeneration, signature].every(({ mechanism }) => token.mechanisms.has(mechanism))
  const use = <T>(work: (session: Session) => Promise<T>): Promise<T> => token.use(work).catch(fail)

  return {
    algorithms: [...signingAlgorithms, ...postQuantumAlgorithms].filter((alg) => {
      const mechanism = signingMechanisms[alg]
      return mechanism !== undefined && has(mechanism)
    }),

    generate(alg, id) {
      let isRepeated = false
      return use(async (session) => {
        if (isRepeated) destroyAll(session, id) // the token may have gone away after it made a key
        isRepeated = true
        return { reference: referenceTo(id), publicJwk: await generateKeyPair(session, mechanismOf(alg), id) }
      })
    },

    sign: (reference, alg, data) =>
      use(async (session) => {
        const { input, signature } = mechanismOf(alg)
        startSigning(session, idIn(reference), signature)
        return signHeld(session, input(data))
      }),

    destroy: (reference) =>
      use(async (session) => {
        session.keys.delete(idIn(reference))
        destroyAll(session, idIn(reference))
        session.confirm()
      }),

    close: () => token.close(),
  }
}

function fail(error: unknown): never {
  throw explained(error)
}

async function pinOf({ PKCS11_PIN, PKCS11_PIN_FILE }: Config): Promise<Secret> {
  if (PKCS11_PIN) return PKCS11_PIN
  if (!PKCS11_PIN_FILE) throw new Error('PKCS11_PIN or PKCS11_PIN_FILE is required.')
  try {
    return secret((await readFile(PKCS11_PIN_FILE, 'utf8')).replace(/\r?\n$/, ''))
  } catch (cause) {
    throw new Error('PKCS11_PIN_FILE cannot be read.', { cause })
  }
}

function mechanismOf(alg: SigningAlgorithm): SigningMechanism {
  const mechanism = signingMechanisms[alg]
  if (!mechanism) throw new Error(`PKCS #11 has no ${alg}.`)
  return mechanism
}

/**
 * Refers to a private key by a PKCS #11 URI (RFC 7512 §2.3) without the token, which may be restored under another
 * name.
 */
function referenceTo(id: string): string {
  return `pkcs11:id=${encodeURIComponent(id)};type=private`
}

function idIn(reference: string): string {
  const id = /^pkcs11:id=([^;]+);type=private$/.exec(reference)?.[1]
  if (id === undefined) throw new Error(`Not a reference to a key in a PKCS #11 token: ${reference}.`)
  return decodeURIComponent(id)
}

async function generateKeyPair(
  { cryptoki, handle }: Session,
  { keyGeneration, publicTemplate, privateTemplate, publicAttributes, toJwk }: SigningMechanism,
  id: string,
): Promise<JWK> {
  const common: Attribute[] = [
    { type: CKA.TOKEN, value: true },
    { type: CKA.ID, value: Buffer.from(id) },
    { type: CKA.LABEL, value: id },
  ]
  const { publicKey } = await cryptoki.C_GenerateKeyPairAsync(
    handle,
    keyGeneration,
    [...common, { type: CKA.VERIFY, value: true }, ...publicTemplate],
    [
      ...common,
      { type: CKA.PRIVATE, value: true },
      { type: CKA.SENSITIVE, value: true },
      { type: CKA.EXTRACTABLE, value: false },
      { type: CKA.SIGN, value: true },
      ...privateTemplate,
    ],
  )
  const template = publicAttributes.map((type) => ({ type }))
  return toJwk(...cryptoki.C_GetAttributeValue(handle, publicKey, template).map(({ value }) => value))
}

/** Begins to sign with a key under its known handle, or looks it up again: after a restore it may have another one. */
function startSigning(session: Session, id: string, mechanism: Mechanism): void {
  const start = (key: Handle) => session.cryptoki.C_SignInit(session.handle, mechanism, key)
  const known = session.keys.get(id)
  if (known) {
    try {
      start(known)
      return
    } catch (error) {
      const code = codeOf(error)
      if (code !== CKR.KEY_HANDLE_INVALID && code !== CKR.OBJECT_HANDLE_INVALID) throw error
      session.keys.delete(id)
    }
  }
  const [found] = find(session, CKO.PRIVATE_KEY, id)
  if (!found) throw new Error(`The token has no private key ${id}.`)
  start(found)
  session.keys.set(id, found)
}

// Buffers that another thread reads. pkcs11js does not protect them from garbage collection.
const held = new Set<Buffer>()

async function signHeld({ cryptoki, handle }: Session, data: Buffer): Promise<Buffer> {
  held.add(data)
  try {
    return await cryptoki.C_SignAsync(handle, data, Buffer.alloc(longestSignature))
  } finally {
    held.delete(data)
  }
}

function destroyAll(session: Session, id: string): void {
  for (const keyClass of [CKO.PRIVATE_KEY, CKO.PUBLIC_KEY]) {
    for (const key of find(session, keyClass, id)) session.cryptoki.C_DestroyObject(session.handle, key)
  }
}

function find({ cryptoki, handle }: Session, keyClass: number, id: string): Handle[] {
  cryptoki.C_FindObjectsInit(handle, [
    { type: CKA.CLASS, value: keyClass },
    { type: CKA.ID, value: Buffer.from(id) },
  ])
  try {
    return cryptoki.C_FindObjects(handle, 10)
  } finally {
    cryptoki.C_FindObjectsFinal(handle)
  }
}

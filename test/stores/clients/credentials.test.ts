import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createEnvelope } from '../../../src/crypto/envelope.ts'
import { connect, type Database } from '../../../src/database/connect.ts'
import { reseal } from '../../../src/keys/resealing.ts'
import { stageOf } from '../../../src/oidc/request/storage.ts'
import { secret } from '../../../src/secret.ts'
import * as clients from '../../../src/stores/clients/clients.ts'
import * as credentials from '../../../src/stores/clients/credentials.ts'
import * as encryptionKeys from '../../../src/stores/keys/encryption-keys.ts'
import * as stages from '../../../src/stores/protocol/stages.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'

const [older, newer] = [1, 2].map(() => secret(randomBytes(32).toString('base64'))) as [never, never]
const envelope = createEnvelope([older])
const [one, two] = ['one', 'two'].map((kid) => ({ kty: 'OKP', crv: 'Ed25519', kid, x: kid }))
const keys = { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [one] } }
const remote = { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'https://rp.example/jwks' }
const shared = { token_endpoint_auth_method: 'client_secret_basic', client_secret: 'first' }

let testDatabase: TestDatabase
let database: Database
let id: string

beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 4, preparedStatements: true, onError: () => {} })
})
afterAll(async () => {
  await database.close()
  await testDatabase.drop()
})
beforeEach(() => {
  id = randomBytes(8).toString('hex')
})

type Metadata = Record<string, unknown>

const save = (metadata: Metadata) =>
  database.db
    .transaction()
    .execute((tx) => clients.save(tx, envelope, { client_id: id, ...metadata }, { isDynamic: false, policy: 'test' }))
const rotate = (overlapSeconds: number) =>
  database.db
    .transaction()
    .execute((tx) =>
      credentials.rotateSecret(tx, envelope, id, { secret: 'next', secretExpiresAtSeconds: 0, overlapSeconds }),
    )
const versionNow = async () => (await clients.findActive(database.db, envelope, id))?.credentialVersion

async function issue(credentialVersion: number | undefined): Promise<unknown> {
  const [result] = await stages.apply(database.db, [stageOf({ client: { id, credentialVersion } })])
  return result?.status === 'fulfilled' ? result.value : result?.reason
}

async function resealAll(): Promise<void> {
  const after = createEnvelope([newer, older])
  await encryptionKeys.add(database.db, [envelope.sealingKeyId, after.sealingKeyId])
  await reseal({ db: database.db, envelope: after }, { actor: 'operator:test' }, { pauseMs: 20, answerMs: 0 })
}

describe('the credentials that a client presented with a token request', () => {
  test.each<[string, Metadata, () => Promise<unknown>]>([
    ['nothing happened', shared, async () => {}],
    ['its secret was rotated with an overlap', shared, () => rotate(60)],
    ['its secret was sealed with another key', shared, resealAll],
    ['its name was changed', shared, () => save({ ...shared, client_name: 'Another' })],
    ['a key was added', keys, () => save({ ...keys, jwks: { keys: [two, one] } })],
    [
      'the metadata of a public client was changed',
      { token_endpoint_auth_method: 'none' },
      () => save({ token_endpoint_auth_method: 'none', scope: 'openid' }),
    ],
  ])('are accepted when the answer comes after %s', async (_, metadata, change) => {
    await save(metadata)
    const version = await versionNow()
    await change()
    expect(await issue(version)).toBe('applied')
  })

  test.each<[string, Metadata, () => Promise<unknown>]>([
    ['its secret was rotated without an overlap', shared, () => rotate(0)],
    ['its secret was rotated twice', shared, async () => [await rotate(60), await rotate(60)]],
    ['its secret was removed', shared, () => save({ token_endpoint_auth_method: 'none' })],
    ['its method became a key', shared, () => save({ ...shared, ...keys })],
    [
      'its method became client_secret_post',
      shared,
      () => save({ ...shared, token_endpoint_auth_method: 'client_secret_post' }),
    ],
    ['its key was replaced', keys, () => save({ ...keys, jwks: { keys: [two] } })],
    ['its keys moved to an address', keys, () => save(remote)],
    ['its keys moved to another address', remote, () => save({ ...remote, jwks_uri: 'https://other.example/jwks' })],
    ['its method became a secret', keys, () => save(shared)],
  ])('are rejected when the answer comes after %s', async (_, metadata, change) => {
    await save(metadata)
    const version = await versionNow()
    await change()
    expect(await issue(version)).toBe('moved')
    expect(await issue(await versionNow())).toBe('applied')
  })

  test('are rejected when they were the previous secret, which has since expired', async () => {
    await save(shared)
    const version = await versionNow()
    await rotate(60)
    expect(await issue(version)).toBe('applied')
    await testDatabase.query('update clients set previous_secret_expires_at = now() where id = $1', [id])
    expect(await issue(version)).toBe('moved')
  })

  test('are rejected when the client was not found', async () => {
    await save(shared)
    expect(await issue(undefined)).toBe('moved')
  })
})

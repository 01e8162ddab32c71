import type { Envelope } from '../crypto/envelope.ts'
import type { PrivateJwk } from '../crypto/keys.ts'
import type { Db } from '../database/schema.ts'

/** Secrets all processes share, by name. */
export type SharedSecretName = 'cookie-key' | 'dpop-nonce' | 'pairwise-salt' | 'pepper'

/** The value of a shared secret; `fresh` becomes it when there is none yet, for whichever process comes first. */
export async function ensure(db: Db, envelope: Envelope, name: SharedSecretName, fresh: () => string): Promise<string> {
  const identity = `shared_secrets.value:${name}`
  const read = () => db.selectFrom('shared_secrets').select('value_sealed').where('name', '=', name).executeTakeFirst()
  let row = await read()
  if (!row) {
    await db
      .insertInto('shared_secrets')
      .values({ name, value_sealed: envelope.seal(fresh(), identity), created_at: new Date() })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute()
    row = await read()
  }
  if (!row) throw new Error(`The shared secret ${name} could neither be read nor made.`)
  return envelope.open(row.value_sealed, identity)
}

/** All signing keys that are not removed, oldest first. */
export async function signingKeys(db: Db, envelope: Envelope): Promise<PrivateJwk[]> {
  const rows = await db
    .selectFrom('signing_keys')
    .select(['kid', 'private_jwk_sealed'])
    .where('removed_at', 'is', null)
    .orderBy('created_at')
    .orderBy('kid')
    .execute()
  return rows.map((row) => JSON.parse(envelope.open(row.private_jwk_sealed, `signing_keys.private_jwk:${row.kid}`)))
}

/** Stores a key for an algorithm that has none. Of several processes doing so at once, the first one's stays. */
export async function addFirstSigningKey(db: Db, envelope: Envelope, key: PrivateJwk): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx.selectFrom('shared_secrets').select('name').where('name', '=', 'pepper').forUpdate().execute()
    const existing = await tx
      .selectFrom('signing_keys')
      .select('kid')
      .where('alg', '=', key.alg)
      .where('removed_at', 'is', null)
      .executeTakeFirst()
    if (existing) return
    const now = new Date()
    await tx
      .insertInto('signing_keys')
      .values({
        kid: key.kid,
        alg: key.alg,
        state: 'active',
        private_jwk_sealed: envelope.seal(JSON.stringify(key), `signing_keys.private_jwk:${key.kid}`),
        created_at: now,
        published_at: now,
        active_at: now,
        retired_at: null,
        removed_at: null,
      })
      .execute()
  })
}

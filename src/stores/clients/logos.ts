import type { Db, Tx } from '../../database/schema.ts'
import { announce } from './changes.ts'

/** The logo of a client as it was fetched; without `image` if that failed. */
export type Logo = { clientId: string; uri: string; image: { hash: string; type: string; bytes: Buffer } | undefined }

/** Finds the result of fetching a client's logo from this address, and the time of it. */
export async function find(
  db: Db,
  clientId: string,
  uri: string,
): Promise<{ hash: string | undefined; fetchedAtMs: number } | undefined> {
  const row = await db
    .selectFrom('client_logos')
    .select(['hash', 'fetched_at'])
    .where('client_id', '=', clientId)
    .where('uri', '=', uri)
    .executeTakeFirst()
  return row && { hash: row.hash ?? undefined, fetchedAtMs: row.fetched_at.getTime() }
}

/** Finds an image by its hash, whichever client it belongs to. */
export async function findImage(db: Db, hash: string): Promise<{ type: string; bytes: Buffer } | undefined> {
  const row = await db
    .selectFrom('client_logos')
    .select(['type', 'image'])
    .where('hash', '=', hash)
    .limit(1)
    .executeTakeFirst()
  return row?.type && row.image ? { type: row.type, bytes: row.image } : undefined
}

/** Saves the logo of a client in place of the previous one. Notifies every process if there is an image. */
export async function save(tx: Tx, { clientId, uri, image }: Logo): Promise<void> {
  const row = {
    uri,
    hash: image?.hash ?? null,
    type: image?.type ?? null,
    image: image?.bytes ?? null,
    fetched_at: new Date(),
  }
  await tx
    .insertInto('client_logos')
    .values({ client_id: clientId, ...row })
    .onConflict((conflict) => conflict.column('client_id').doUpdateSet(row))
    .execute()
  if (image) await announce(tx, clientId)
}

import type { Tx } from '../../database/schema.ts'

type Profile = Record<string, unknown>

/**
 * Reads the profile of an account under a lock and writes it back as `change` returns it; `undefined` changes nothing. The
 * second of two concurrent changes builds on the first.
 */
export async function change(
  tx: Tx,
  accountId: string,
  change: (profile: Profile) => Profile | undefined,
): Promise<void> {
  const row = await tx
    .selectFrom('accounts')
    .select('profile')
    .where('id', '=', accountId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  const changed = row && change(row.profile)
  if (!changed) return
  await tx
    .updateTable('accounts')
    .set({ profile: JSON.stringify(changed), updated_at: new Date() })
    .where('id', '=', accountId)
    .execute()
}

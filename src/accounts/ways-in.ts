import type { Db } from '../database/schema.ts'
import * as accounts from '../stores/people/accounts.ts'
import type { IdentityName } from '../stores/people/identities.ts'
import * as identities from '../stores/people/identities.ts'
import * as passkeys from '../stores/people/passkeys.ts'

/** A way to sign in to an account. `mail` is a code that is mailed to its address. */
export type WayIn =
  | { kind: 'password' }
  | { kind: 'passkey'; id: string }
  | ({ kind: 'identity' } & IdentityName)
  | { kind: 'mail' }

/** The ways in that this deployment lets people use. */
export type AllowedWays = { passwords: boolean; passkeys: boolean; mail: boolean }

/**
 * Returns every way in that an account would still have without `removed`. The last one is never removed: nobody could use
 * the account then. A transaction that removes one has locked the account, so that two at once cannot remove both.
 */
export async function remainingWays(
  db: Db,
  accountId: string,
  allowed: AllowedWays,
  removed?: WayIn,
): Promise<WayIn[]> {
  const [hasPassword, keys, linked] = [
    allowed.passwords && (await accounts.hasPassword(db, accountId)),
    allowed.passkeys ? await passkeys.listByAccount(db, accountId) : [],
    await identities.listUsable(db, accountId),
  ]
  const ways: WayIn[] = [
    ...(hasPassword ? [{ kind: 'password' } as const] : []),
    ...keys.map(({ id }) => ({ kind: 'passkey', id }) as const),
    ...linked.map(({ providerId, issuer, subject }) => ({ kind: 'identity', providerId, issuer, subject }) as const),
    ...(allowed.mail ? [{ kind: 'mail' } as const] : []),
  ]
  const isRemoved = (way: WayIn) => {
    if (way.kind === 'passkey') return removed?.kind === 'passkey' && way.id === removed.id
    if (way.kind !== 'identity') return way.kind === removed?.kind
    return (
      removed?.kind === 'identity' &&
      way.providerId === removed.providerId &&
      way.issuer === removed.issuer &&
      way.subject === removed.subject
    )
  }
  return ways.filter((way) => !isRemoved(way))
}

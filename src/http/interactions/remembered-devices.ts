import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'
import type { Acting } from '../../accounts/acting.ts'
import type { Proof } from '../../authentication/proofs.ts'
import { sha256 } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import * as devices from '../../stores/people/remembered-devices.ts'
import { byPerson } from '../by-person.ts'

type Whose = { accountId: string; epoch: number }

export type RememberedDevices = {
  /** Returns what stands in for a second factor in this browser, if the person asked for that. */
  proofOf(ctx: Context, whose: Whose): Promise<Proof | undefined>
  /** Remembers this browser for an account that just gave a second factor. */
  remember(ctx: Context, whose: Whose): Promise<void>
}

const daySeconds = 86_400

/**
 * Keeps a random value in the browser, under a name that no other host can set (RFC 6265bis §4.1.3.2). The database knows
 * only hashes of it, one for each account. It ends with the sign-ins of the account.
 */
export function createRememberedDevices({
  db,
  act,
  days,
  isSecure,
}: {
  db: Db
  act: Acting
  days: number
  isSecure: boolean
}): RememberedDevices {
  const name = isSecure ? '__Host-postern_device' : 'postern_device'
  const hashOf = (value: string, accountId: string) => sha256(`${value}\0${accountId}`)

  return {
    async proofOf(ctx, { accountId, epoch }) {
      const value = ctx.cookies.get(name, { signed: false })
      if (!value || days === 0) return undefined
      const found = await devices.find(db, { idHash: hashOf(value, accountId), accountId, epoch })
      return (
        found && {
          method: 'remembered-device',
          at: Math.floor(found.createdAt.getTime() / 1000),
          until: Math.floor(found.expiresAt.getTime() / 1000),
        }
      )
    },

    async remember(ctx, { accountId, epoch }) {
      if (days === 0) return
      const value = randomBytes(32).toString('base64url') // a value that others may have put there is never taken over
      const maxAge = days * daySeconds * 1000
      const userAgent = ctx.get('User-Agent').slice(0, 300) || undefined
      const expiresAt = new Date(Date.now() + maxAge)
      await act(byPerson(ctx), async ({ tx, record }) => {
        await devices.remember(tx, { idHash: hashOf(value, accountId), accountId, epoch, userAgent, expiresAt })
        record({ type: 'account.device_remembered', accountId, details: { days } })
      })
      ctx.cookies.set(name, value, {
        signed: false,
        secure: isSecure,
        httpOnly: true,
        sameSite: 'lax',
        maxAge,
        overwrite: true,
      })
    },
  }
}

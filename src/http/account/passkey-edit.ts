import type { Context } from 'koa'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import * as changes from '../../accounts/passkeys.ts'
import { type AllowedWays, remainingWays } from '../../accounts/ways-in.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as passkeys from '../../stores/people/passkeys.ts'
import type { AccountNotice } from '../../views/pages/account.ts'
import type { Render } from '../../views/render.ts'
import { byPerson } from '../by-person.ts'
import type { Csrf } from '../csrf.ts'
import type { Notes } from '../notes.ts'
import { leadTo, zoneOf } from './frame.ts'
import { type AccountHandler, accountForm } from './handler.ts'

const passkeyField = accountForm.extend({ passkey: z.string().max(64).default('') })
export const renameForm = passkeyField.extend({ name: z.string().max(200).default('') })
export const removeForm = passkeyField.extend({ sign_out: z.string().optional() })

export type PasskeyEdit = {
  show: AccountHandler<unknown>
  rename: AccountHandler<z.output<typeof renameForm>>
  remove: AccountHandler<z.output<typeof removeForm>>
}

/** Creates the page about one passkey, where a person gives it another name or removes it. */
export function passkeyEdit({
  db,
  act,
  render,
  csrf,
  notices,
  allowedWays: allowed,
}: {
  db: Db
  act: Acting
  render: Render
  csrf: Csrf
  notices: Notes<AccountNotice>
  allowedWays: AllowedWays
}): PasskeyEdit {
  const lead = (ctx: Context, code: AccountNotice['code']) => leadTo(ctx, notices, '/account/security', { code })

  return {
    async show(ctx, { account, sessionUid }) {
      const { passkey: id } = ctx.query
      const passkey = (await passkeys.listByAccount(db, account.id)).find((one) => one.id === id)
      if (!passkey) return lead(ctx, 'passkey-gone')
      const ways = await remainingWays(db, account.id, allowed, { kind: 'passkey', id: passkey.id })
      ctx.body = render(readerOf(ctx), 'account-passkey-edit', {
        csrf: csrf.tokenOfSession(sessionUid),
        passkey: shown(passkey),
        isLast: ways.length === 0,
        zone: zoneOf(account.profile),
      })
    },

    async rename(ctx, { account }, { passkey: id, name }) {
      const outcome = await act(byPerson(ctx), (context) => changes.rename(context, account.id, id, name))

      lead(ctx, outcome === 'gone' ? 'passkey-gone' : outcome === 'unnamed' ? 'passkey-unnamed' : 'passkey-renamed')
    },

    async remove(ctx, { account, sessionUid: keptSessionUid }, { passkey: id, sign_out }) {
      const removal = { id, allowed, signsOut: sign_out !== undefined, keptSessionUid }
      const removed = await act(byPerson(ctx), (context) => changes.remove(context, account.id, removal))

      if (removed === 'last') return lead(ctx, 'passkey-last')
      lead(ctx, removed === 'gone' ? 'passkey-gone' : 'passkey-removed')
    },
  }
}

/** Returns the part of a passkey that its owner sees. */
export function shown({ id, name, createdAt, lastUsedAt, isBackupEligible }: passkeys.Passkey) {
  return { id, name, createdAt, lastUsedAt, isSynced: isBackupEligible }
}

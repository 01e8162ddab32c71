import type { Context } from 'koa'
import { z } from 'zod'
import type { Acting } from '../../accounts/acting.ts'
import * as secondFactors from '../../accounts/second-factors.ts'
import type { FactorLimits } from '../../authentication/factor-limits.ts'
import type { CurrentBrand } from '../../brand/index.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Secret } from '../../secret.ts'
import * as factors from '../../stores/people/factors.ts'
import * as devices from '../../stores/people/remembered-devices.ts'
import * as totp from '../../stores/people/totp.ts'
import type { AccountNotice } from '../../views/pages/account.ts'
import type { SecondStep } from '../../views/pages/account-security.ts'
import type { Render } from '../../views/render.ts'
import { secretShown } from '../authenticator-page.ts'
import { byPerson } from '../by-person.ts'
import type { Csrf } from '../csrf.ts'
import type { Notes } from '../notes.ts'
import { leadTo } from './frame.ts'
import { type AccountHandler, accountForm } from './handler.ts'

export const authenticatorForm = accountForm.extend({ code: z.string().max(64).default('') })

/** That a code was wrong, which the page says next. */
export type AuthenticatorNote = { isWrong: true }

const path = '/account/authenticator'
const security = '/account/security'

export type SecondStepPages = {
  /** Returns what the page about sign-ins shows; `undefined` where there is no second step. */
  stateOf(account: { id: string; epoch: number }): Promise<SecondStep | undefined>
  begin: AccountHandler<unknown>
  show: AccountHandler<unknown>
  confirm: AccountHandler<z.output<typeof authenticatorForm>>
  remove: AccountHandler<unknown>
  renewCodes: AccountHandler<unknown>
  forgetDevices: AccountHandler<unknown>
}

/** Creates the pages where a person sets up, renews and removes the second step of their sign-in. */
export function secondStep({
  db,
  act,
  envelope,
  render,
  brand,
  csrf,
  notices,
  authenticatorNotes,
  factorLimits,
  recoveryKey,
  isOn,
}: {
  db: Db
  act: Acting
  envelope: Envelope
  render: Render
  brand: CurrentBrand
  csrf: Csrf
  notices: Notes<AccountNotice>
  authenticatorNotes: Notes<AuthenticatorNote>
  factorLimits: FactorLimits
  recoveryKey: Secret<Buffer>
  isOn: boolean
}): SecondStepPages {
  const showCodes = (ctx: Context, codes: readonly string[]) => {
    ctx.body = render(readerOf(ctx), 'recovery-codes', { codes, next: security })
  }

  return {
    async stateOf({ id, epoch }) {
      if (!isOn) return undefined
      const { hasTotp, recoveryCodes } = await factors.find(db, id)
      return { hasApp: hasTotp, recoveryCodes, devices: await devices.count(db, { accountId: id, epoch }) }
    },

    async begin(ctx, { account }) {
      await act(byPerson(ctx), (context) => secondFactors.beginTotp(context, account.id))
      ctx.status = 303
      ctx.redirect(path)
    },

    async show(ctx, { account, sessionUid }) {
      const pending = await totp.find(db, envelope, account.id)
      if (!pending || pending.isConfirmed) {
        ctx.status = 303
        ctx.redirect(security)
        return
      }
      const isWrong = authenticatorNotes.take(ctx, path) !== undefined
      if (isWrong) ctx.status = 400
      ctx.body = render(readerOf(ctx), 'authenticator', {
        action: path,
        hidden: { csrf: csrf.tokenOfSession(sessionUid) },
        ...secretShown(pending.secret, { service: brand().name, account: account.email }),
        isWrong,
        back: security,
      })
    },

    async confirm(ctx, { account }, { code }) {
      const attempt = await factorLimits.begin(account.id)
      const isAllowed = 'giveBack' in attempt
      const confirmed = isAllowed
        ? await act(byPerson(ctx), (context) => secondFactors.confirmTotp(context, account.id, { code, recoveryKey }))
        : 'wrong-code'
      if (confirmed === 'wrong-code') {
        authenticatorNotes.leave(ctx, path, { isWrong: true })
        ctx.status = 303
        ctx.redirect(path)
        return
      }
      if (isAllowed) await attempt.giveBack()
      showCodes(ctx, confirmed.recoveryCodes)
    },

    async remove(ctx, { account }) {
      await act(byPerson(ctx), (context) => secondFactors.removeTotp(context, account.id))
      leadTo(ctx, notices, security, { code: 'totp-removed' })
    },

    async renewCodes(ctx, { account }) {
      const { hasTotp } = await factors.find(db, account.id)
      if (!hasTotp) return leadTo(ctx, notices, security, { code: 'profile-unchanged' })
      const codes = await act(byPerson(ctx), (context) =>
        secondFactors.renewRecoveryCodes(context, account.id, recoveryKey),
      )
      showCodes(ctx, codes)
    },

    async forgetDevices(ctx, { account }) {
      await act(byPerson(ctx), ({ tx }) => devices.forgetAll(tx, account.id))
      leadTo(ctx, notices, security, { code: 'devices-forgotten' })
    },
  }
}

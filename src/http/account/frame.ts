import type { Context } from 'koa'
import { type AccountFrame, type AccountNotice, type AccountTab, accountTabs } from '../../views/pages/account.ts'
import type { Csrf } from '../csrf.ts'
import type { Notes } from '../notes.ts'
import type { SignedIn } from './signed-in.ts'

/** Returns everything that the pages of an account have in common. */
export type FrameOf = (ctx: Context, person: SignedIn, tab: AccountTab) => AccountFrame

/** Creates the function that returns what the pages of an account have in common. */
export function createFrames({ csrf, notices }: { csrf: Csrf; notices: Notes<AccountNotice> }): FrameOf {
  return (ctx, { account, sessionUid }, tab) => ({
    csrf: csrf.tokenOfSession(sessionUid),
    account: { name: String(account.profile['name'] ?? ''), email: account.email },
    tab,
    tabs: accountTabs,
    notice: noticeIn(notices.take(ctx, ctx.path)),
    zone: zoneOf(account.profile),
  })
}

/** Returns a note if it is a notice. A page with a form also leaves notes about that form. */
const noticeIn = (note: AccountNotice | undefined) => (note && 'code' in note ? note : undefined)

/** Returns the time zone that a profile names. */
export function zoneOf({ zoneinfo }: Record<string, unknown>): string | undefined {
  return typeof zoneinfo === 'string' ? zoneinfo : undefined
}

/** Leads to a page of the account, which shows the notice. */
export function leadTo(ctx: Context, notices: Notes<AccountNotice>, path: AccountTab, notice: AccountNotice): void {
  notices.leave(ctx, path, notice)
  ctx.status = 303
  ctx.redirect(path)
}

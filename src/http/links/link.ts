import type { Context } from 'koa'
import { hasAsked } from '../../oidc/request/browser.ts'
import { current } from '../../oidc/request/work.ts'
import type { Confirmation } from '../../stores/people/confirmations.ts'
import type { LinkDonePage, LinkEndPage, NewPasswordError } from '../../views/pages/recovery.ts'
import type { Notes } from '../notes.ts'

/** A link of a mail that can be redeemed. */
export type Link = { token: string; confirmation: Confirmation }

/** The result of a link's form, which its page shows next: the reason of a refusal, or the end. */
export type LinkNote =
  | { page: 'form'; error: NewPasswordError }
  | ({ page: 'done' } & LinkDonePage)
  | ({ page: 'end' } & LinkEndPage)

export type LinkNotes = Notes<LinkNote>

/** The page of the links with one purpose, and what its form does. Showing it changes nothing. */
export type LinkHandler = {
  show(ctx: Context, link: Link, note: LinkNote | undefined): Promise<void>
  submit(ctx: Context, link: Link): Promise<void>
}

export const linkPath = (token: string): string => `/link/${token}`

/** Leads back to the page of a link, which shows this. */
export function leadBack(ctx: Context, notes: LinkNotes, token: string, note: LinkNote): void {
  notes.leave(ctx, linkPath(token), note)
  ctx.status = 303
  ctx.redirect(linkPath(token))
}

/** Returns the interaction that a link was requested in, if this browser did. */
export function interactionHere({ browserHash, data }: Confirmation): string | undefined {
  const browser = current()?.browser
  const { interaction } = data
  if (!browser || !browserHash || typeof interaction !== 'string') return undefined
  return hasAsked(browser, interaction, browserHash) ? interaction : undefined
}

import Router from '@koa/router'
import type { Context } from 'koa'
import { readerOf } from '../../oidc/request/reader.ts'
import * as confirmations from '../../stores/people/confirmations.ts'
import type { LinkEndPage } from '../../views/pages/recovery.ts'
import { form } from '../forms.ts'
import { createNotes } from '../notes.ts'
import { addressConfirm } from './address-confirm.ts'
import { addressUndo } from './address-undo.ts'
import type { LinkDependencies } from './dependencies.ts'
import { type Link, type LinkHandler, type LinkNote, leadBack, linkPath } from './link.ts'
import { passwordChoose } from './password-choose.ts'
import { signInContinue } from './sign-in-continue.ts'

const statusOf: Record<LinkEndPage['reason'], number> = {
  unknown: 404,
  expired: 410,
  used: 410,
  void: 410,
  taken: 409,
  'other-browser': 403,
}

/**
 * Serves the links of mails. A page of one changes nothing, because mail programs open every link to look for malware: the
 * button on it does. A link is not a sign-in: it signs in no browser but the one that asked for it.
 */
export function linkRoutes(dependencies: LinkDependencies): Router {
  const { db, envelope, render, csrf, issuer } = dependencies
  const notes = createNotes<LinkNote>({ isSecure: issuer.startsWith('https:') })
  const shared = { ...dependencies, notes, showEnd }

  // biome-ignore format: it is a table
  const handlers: Partial<Record<confirmations.Purpose, LinkHandler>> = {
    ...(dependencies.allowedWays.passwords && {
      'password-reset': passwordChoose(shared, 'reset'),
      invitation:       passwordChoose(shared, 'invitation'),
    }),
    'email-change':   addressConfirm(shared),
    'email-undo':     addressUndo(shared),
    'sign-in':        signInContinue(shared, 'sign-in'),
    'sign-up':        signInContinue(shared, 'sign-up'),
  }

  const router = new Router({ prefix: '/link/:token' })
  router.use(async (ctx, next) => {
    ctx.set('Cache-Control', 'no-store')
    // Anything else was never a link, and must not get into the path of a cookie.
    if (/^[\w-]{43}$/.test(tokenOf(ctx))) await next()
    else showEnd(ctx, 'unknown')
  })
  router.get('/', async (ctx) => {
    const token = tokenOf(ctx)
    const note = notes.take(ctx, linkPath(token))
    if (note?.page === 'done') {
      ctx.body = render(readerOf(ctx), 'link-done', note)
      return
    }
    if (note?.page === 'end') return showEnd(ctx, note.reason)
    const found = await find(token)
    if ('reason' in found) showEnd(ctx, found.reason)
    else await found.handler.show(ctx, found.link, note)
  })
  router.post('/', form, async (ctx) => {
    csrf.assertOwnSite(ctx) // nobody else knows the token, which is in the address
    const token = tokenOf(ctx)
    const found = await find(token)
    if ('reason' in found) leadBack(ctx, notes, token, { page: 'end', reason: found.reason })
    else await found.handler.submit(ctx, found.link)
  })
  return router

  function showEnd(ctx: Context, reason: LinkEndPage['reason']): void {
    ctx.status = statusOf[reason]
    ctx.body = render(readerOf(ctx), 'link-end', { reason })
  }

  async function find(token: string): Promise<{ link: Link; handler: LinkHandler } | LinkEndPage> {
    const found = await confirmations.find(db, envelope, token)
    const handler = found && handlers[found.confirmation.purpose]
    if (!handler) return { reason: 'unknown' }
    if (found.state !== 'valid') return { reason: found.state }
    return { link: { token, confirmation: found.confirmation }, handler }
  }
}

const tokenOf = (ctx: Context) => String(ctx['params'].token)

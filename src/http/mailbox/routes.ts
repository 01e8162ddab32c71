import Router from '@koa/router'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import * as outbox from '../../stores/operations/outbox-records.ts'
import type { Render } from '../../views/render.ts'
import { paragraphsOf } from './paragraphs.ts'

const mostMails = 50

/**
 * Serves the mails that wait for a mail server to be set up. They contain links that open accounts, so only a server on
 * a developer's own machine has these pages.
 */
export function mailboxRoutes({ db, envelope, render }: { db: Db; envelope: Envelope; render: Render }): Router {
  const router = new Router({ prefix: '/mailbox' })

  router.get('/', async (ctx) => {
    const letters = await outbox.list(db, { status: 'waiting', limit: mostMails })
    const found = await Promise.all(letters.map(({ id }) => outbox.find(db, envelope, id)))
    ctx.body = render(readerOf(ctx), 'mailbox', {
      mails: found.flatMap((letter) =>
        letter?.mail
          ? [{ id: letter.id, subject: letter.mail.subject, to: letter.mail.to, at: written(letter.createdAt) }]
          : [],
      ),
    })
  })

  router.get('/:id', async (ctx, next) => {
    const letter = await outbox.find(db, envelope, String(ctx.params['id']))
    if (!letter?.mail) return next()
    const { subject, to, text } = letter.mail
    ctx.body = render(readerOf(ctx), 'mailbox-mail', {
      subject,
      to,
      at: written(letter.createdAt),
      paragraphs: paragraphsOf(text),
    })
  })

  return router
}

const written = (at: Date) => `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`

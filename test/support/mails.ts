import type { Scene } from './circulation.ts'
import { mailTo } from './mailbox.ts'
import { forget, press, send } from './people.ts'

/** Has mails sent, opens their links, and uses them up: rightly, wrongly and again. */
export async function openMails({
  postern,
  canaries,
  afterStep,
}: Pick<Scene, 'postern' | 'canaries' | 'afterStep'>): Promise<void> {
  const email = 'mailed@example.com'
  await postern.createAccount(email)
  const { visitor } = await forget(postern, email, canaries.visitor(postern.issuer))
  const { link } = await mailTo(postern, email)
  canaries.collect('token of a link', link.slice(link.lastIndexOf('/') + 1))
  await afterStep()
  const form = await visitor.get(link)
  await send(visitor, form, { password: 'short' })
  await send(visitor, form, { password: canaries.plant('password chosen by a link') })
  await visitor.get(link)

  const page = await press(visitor, await visitor.get('/account'), 'send-code', email)
  const mail = await mailTo(postern, email)
  canaries.collect('token of a link', mail.link.slice(mail.link.lastIndexOf('/') + 1))
  await afterStep()
  await visitor.get(mail.link)
  await canaries.visitor(postern.issuer).get(mail.link)
  await visitor.submit(page, '/code', { code: canaries.plant('wrong code of a mail') })
  await visitor.submit(page, '/code', { code: mail.code })
  await afterStep()
}

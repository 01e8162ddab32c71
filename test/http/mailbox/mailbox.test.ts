import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Letter } from '../../../src/stores/operations/letters.ts'
import * as outbox from '../../../src/stores/operations/outbox.ts'
import { eventually } from '../../support/eventually.ts'
import { startMailServer } from '../../support/mail-server.ts'
import { operate } from '../../support/operator.ts'
import { serveBeside, startPostern, type TestPostern } from '../../support/postern.ts'
import { knock, send } from '../../support/wire.ts'

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com')
})
afterAll(() => postern?.stop())

async function post(letter: Letter): Promise<string> {
  const { database, storage } = postern.server.postern
  const [id = ''] = await database.db.transaction().execute((tx) => outbox.add(tx, storage.envelope, [letter]))
  return id
}

test('without a mail server, a developer finds the mails on a page, with links that can be opened', async () => {
  const id = await post({ kind: 'password-reset', to: 'ada@example.com' })
  const unknown = await post({ kind: 'password-reset', to: 'nobody@example.com' })
  await eventually(async () => expect((await send(postern, '/mailbox')).text).toContain(`/mailbox/${id}`))
  const page = await send(postern, `/mailbox/${id}`)
  expect(page.status).toBe(200)
  expect(page.text).toMatch(new RegExp(`<a href="${postern.issuer}/link/[\\w-]{43}">`))
  expect(page.headers.get('cache-control')).toContain('no-store')
  expect(postern.logged.join()).not.toContain(id)
  await eventually(async () => expect((await send(postern, `/mailbox/${unknown}`)).status).toBe(404))
  expect((await send(postern, '/mailbox/unknown')).status).toBe(404)
  const token = /link\/([\w-]{43})/.exec(page.text)?.[1] ?? ''
  const stored = await postern.database.query('select * from outbox')
  expect(JSON.stringify(stored)).not.toContain(token) // it is sealed
})

test('an administrator sees what waits, reads it on the record, and has it tried again', async () => {
  const id = await post({ kind: 'password-reset', to: 'ada@example.com' })
  const listed = await operate(postern, 'mail list', { to: 'ada@example.com' })
  expect(listed).toMatchObject({ items: [{ id, status: expect.stringMatching(/waiting|sending/), attempts: 0 }, {}] })
  await eventually(async () =>
    expect(await operate(postern, 'mail show', { id })).toMatchObject({ text: expect.stringContaining('/link/') }),
  )
  const [event] = await postern.database.query(`select * from audit_events where type = 'mail.read' limit 1`)
  expect(event).toMatchObject({ actor: 'operator:test', details: { mail: id, kind: 'password-reset' } })
  await expect(operate(postern, 'mail test', { to: 'ada@example.com' })).rejects.toThrow('SMTP_URL is not set')
  await expect(operate(postern, 'mail show', { id: 'none' })).rejects.toThrow('There is no mail with this ID')
})

test('with a mail server the page is gone, and mails that waited are sent with new links', async () => {
  const id = await post({ kind: 'password-reset', to: 'ada@example.com' })
  await eventually(async () => expect((await send(postern, `/mailbox/${id}`)).status).toBe(200))
  const was = /link\/([\w-]{43})/.exec((await send(postern, `/mailbox/${id}`)).text)?.[1] ?? ''
  const mailServer = await startMailServer()
  Object.assign(postern.env, { SMTP_URL: mailServer.url, MAIL_FROM: 'no-reply@example.com' })
  const served = await serveBeside(postern)
  try {
    await eventually(() => expect(mailServer.mails.some(({ messageId }) => messageId.includes(id))).toBe(true))
    const mail = mailServer.mails.find(({ messageId }) => messageId.includes(id))
    expect(mail?.raw).not.toContain(was)
    const { status } = await knock(served.port, '/mailbox', { headers: { host: new URL(postern.issuer).host } })
    expect(status).toBe(404)
  } finally {
    await served.stop()
    await mailServer.stop()
  }
})

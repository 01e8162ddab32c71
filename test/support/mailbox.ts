import type { Postern } from '../../src/assemble/index.ts'
import type { LetterKind, Mail } from '../../src/stores/operations/letters.ts'
import * as records from '../../src/stores/operations/outbox-records.ts'
import type { TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'

/** A mail that a server without a mail server would send, with the link and the code in it. */
export type OpenedMail = Mail & { kind: LetterKind; link: string; code: string }

/** A deployment whose mails a test reads. */
export type Outbox = { database: TestDatabase; server: { postern: Pick<Postern, 'database' | 'storage'> } }

/** Returns the mails to an address, the newest first, once every letter to it is composed or dropped. */
export async function mailsTo(postern: Outbox, to: string): Promise<OpenedMail[]> {
  const { database, storage } = postern.server.postern
  await eventually(async () => {
    const [waiting] = await postern.database.query(
      'select count(*)::int as n from outbox where recipient = $1 and composed_at is null and failed_at is null',
      [to],
    )
    if (waiting?.['n'] !== 0) throw new Error(`${waiting?.['n']} letters are not composed`)
  })
  const listed = await records.list(database.db, { recipient: to, limit: 100 })
  const found = await Promise.all(listed.map(({ id }) => records.find(database.db, storage.envelope, id)))
  return found.flatMap((record) => {
    if (!record?.mail) return []
    const [link = ''] = /https?:\/\/\S+\/link\/\S+/.exec(record.mail.text) ?? []
    const [, code = ''] = /: (\d{6})$/m.exec(record.mail.text) ?? []
    return [{ ...record.mail, kind: record.kind, link, code }]
  })
}

/** Returns the newest mail to an address. */
export async function mailTo(postern: Outbox, to: string): Promise<OpenedMail> {
  const [mail] = await mailsTo(postern, to)
  if (!mail) throw new Error(`There is no mail to ${to}.`)
  return mail
}

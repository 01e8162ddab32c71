import MailComposer from 'nodemailer/lib/mail-composer'
import { type Mailbox, wireAddress } from '../config/mailboxes.ts'
import { sha256 } from '../crypto/digests.ts'
import type { Mail } from '../stores/operations/letters.ts'

/** A message as it goes to the mail server, with the addresses for the server. */
export type Message = { raw: Buffer; from: string; to: string }

export type Headers = {
  /** The same for each attempt to send a letter, so that mail programs show one that arrives twice once. */
  messageId: string
  date: Date
  from: Mailbox
  replyTo: Mailbox | undefined
}

/**
 * Builds the message of a mail. Nothing in a name, a subject or an address can end a header: control characters become
 * spaces, and an address that is not exactly one address has no message.
 *
 * @returns `undefined` if the address of the recipient is not valid.
 */
export async function build(mail: Mail, headers: Headers): Promise<Message | undefined> {
  const to = wireAddress(mail.to)
  if (to === undefined) return undefined
  const raw = await new MailComposer({
    from: named(headers.from),
    to: { name: '', address: to },
    ...(headers.replyTo && { replyTo: named(headers.replyTo) }),
    subject: oneLine(mail.subject),
    messageId: headers.messageId,
    baseBoundary: sha256(headers.messageId).toString('hex').slice(0, 24), // the same bytes for each attempt
    date: headers.date,
    headers: {
      // RFC 3834 §5: an answering machine must not answer, and some do only if they see the second header.
      'Auto-Submitted': 'auto-generated',
      'X-Auto-Response-Suppress': 'All',
      'Content-Language': mail.language,
    },
    text: mail.text,
    html: mail.html,
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: '\r\n',
  })
    .compile()
    .build()
  return { raw, from: headers.from.address, to }
}

const longestLine = 200 // characters of a name or a subject; a longer one is cut

/** Returns a text that is one line, without characters that end a header, turn the direction of text or hide. */
export function oneLine(text: string): string {
  const line = text
    .normalize('NFC')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, '')
    .replace(/\p{Cs}/gu, '\ufffd')
    .replaceAll('=?', '= ?') // otherwise a mail program would decode what looks like an encoded word (RFC 2047)
    .trim()
  const characters = Array.from(line)
  return characters.length <= longestLine ? line : `${characters.slice(0, longestLine - 1).join('')}…`
}

const named = ({ name, address }: Mailbox) => ({ name: oneLine(name ?? ''), address })

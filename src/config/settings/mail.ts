import { z } from 'zod'
import { secret } from '../../secret.ts'
import { isLoopbackHost } from '../issuer.ts'
import { mailbox } from '../mailboxes.ts'
import type { Given, Mistake } from './mistake.ts'

const smtpUrl = z
  .string()
  .superRefine((text, context) => {
    const message = smtpUrlProblem(text)
    if (message) context.addIssue({ code: 'custom', message })
  })
  .transform((text) => secret(text))

/** The mail server, and what mails name as their sender. */
export const mailSettings = {
  SMTP_URL: smtpUrl
    .optional()
    .describe(
      'The mail server that mails are handed to: `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte (port 465). Percent-encode special characters of the password. With `smtp://`, the connection is encrypted by STARTTLS, and the certificate must be valid, unless the host is on the loopback interface. Without SMTP_URL no mail is sent: `postern mail` shows what waits.',
    ),
  INSECURE_SMTP_CONNECTION: z
    .stringbool()
    .default(false)
    .describe(
      'Hand mails to a server without TLS, or with a certificate that is not valid. Anyone on the network between them can then read the links that mails contain and take over accounts.',
    ),
  MAIL_FROM: mailbox
    .optional()
    .describe(
      'The sender of mails: `no-reply@example.com`, or with a name, `Example <no-reply@example.com>`. Required with SMTP_URL.',
    ),
  MAIL_REPLY_TO: mailbox.optional().describe('Where replies to mails go. Default: to MAIL_FROM.'),
  MAIL_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(20)
    .default(3)
    .describe('Connections that each process opens to the mail server while mails wait.'),
}

/** Finds mistakes in the settings of mail taken together. */
export function* mailMistakes({
  SMTP_URL,
  MAIL_FROM,
  INSECURE_SMTP_CONNECTION,
}: Given<typeof mailSettings>): Generator<Mistake<typeof mailSettings>> {
  if (SMTP_URL && !MAIL_FROM) yield { name: 'MAIL_FROM', message: 'is required when SMTP_URL is set' }
  if (INSECURE_SMTP_CONNECTION === true && !SMTP_URL) {
    yield { name: 'INSECURE_SMTP_CONNECTION', message: 'has no effect without SMTP_URL' }
  }
}

function smtpUrlProblem(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^smtps?:$/.test(url.protocol) || url.hostname === '') {
    return 'must be the address of a mail server, such as smtp://user:password@smtp.example.com:587'
  }
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    return 'must end after the host and its port'
  }
  if ((url.username === '') !== (url.password === '')) return 'must have both a user and a password, or neither'
  try {
    decodeURIComponent(url.username + url.password)
  } catch {
    return 'has a percent sign that encodes nothing: write %25 for a percent sign of the password'
  }
  return undefined
}

/** The mail server of an SMTP_URL. */
export type SmtpServer = {
  host: string
  port: number
  /** Whether TLS begins before the first byte. */
  isTls: boolean
  isLoopback: boolean
  user: string | undefined
  password: string | undefined
}

/** Reads a valid SMTP_URL. */
export function readSmtpUrl(text: string): SmtpServer {
  const url = new URL(text)
  const isTls = url.protocol === 'smtps:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return {
    host,
    port: Number(url.port) || (isTls ? 465 : 587),
    isTls,
    isLoopback: isLoopbackHost(url.hostname),
    user: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
  }
}

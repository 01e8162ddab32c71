import type { Config } from '../../config/index.ts'
import { readSmtpUrl } from '../../config/settings/mail.ts'
import { hasMailbox } from '../../mail/mailbox.ts'
import { open } from '../../mail/transport.ts'
import { type Finding, messageOf, ok, problem, warning } from './finding.ts'

/** Examines whether the mail server can be reached, encrypts and accepts the password. It sends nothing. */
export async function mailFindings(config: Config): Promise<Finding[]> {
  if (!config.SMTP_URL) {
    if (hasMailbox(config)) return [ok(`Mails wait at ${config.ISSUER}/mailbox, because there is no SMTP_URL`)]
    return [
      warning(
        'SMTP_URL is not set, so no mail is sent: people can neither sign up nor choose another password',
        'Set SMTP_URL and MAIL_FROM. docs/mail.md explains them.',
      ),
    ]
  }
  const { host, port, user, isLoopback } = readSmtpUrl(config.SMTP_URL.reveal())
  const name = `${host}:${port}`
  try {
    const connection = await open(config)
    connection.close()
    const reached = `The mail server ${name} answers${user === undefined ? '' : ` and accepts the password of ${user}`}`
    if (connection.isEncrypted || isLoopback) return [ok(reached)]
    return [
      warning(
        `${reached}, but the connection is not encrypted, which INSECURE_SMTP_CONNECTION allows`,
        'Use a server with TLS: whoever reads the links in mails can take over accounts.',
      ),
    ]
  } catch (error) {
    return [
      problem(
        `The mail server ${name} cannot be used: ${messageOf(error)}`,
        'Check SMTP_URL, and that this machine may connect to that port. Mails wait until it works, for five days.',
      ),
    ]
  }
}

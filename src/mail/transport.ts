import { Readable } from 'node:stream'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { Config } from '../config/index.ts'
import { readSmtpUrl } from '../config/settings/mail.ts'
import type { Message } from './message.ts'

/**
 * The end of an attempt to send. `unknown` means that the server had the whole message, or a part of it, when the
 * connection broke: it may have accepted it.
 */
export type Outcome =
  | { result: 'accepted'; answer: string }
  | { result: 'refused' | 'deferred' | 'unknown'; reason: string }

/** A connection to the mail server, for one mail at a time. It can be used again only after a mail was accepted. */
export type SmtpConnection = {
  /** The last answer of the server to EHLO, which lists its extensions. */
  greeting: string
  isEncrypted: boolean
  /**
   * Sends a message. It calls `onData` when the server is ready for the message, and sends nothing of it if that returns
   * `false`.
   */
  send(message: Message, onData: () => Promise<boolean>): Promise<Outcome>
  close(): void
}

/** The part of the settings that the transport needs. */
export type TransportSettings = Pick<Config, 'SMTP_URL' | 'INSECURE_SMTP_CONNECTION' | 'ISSUER'>

const connectMs = 20_000
const silenceMs = 60_000 // a server that says nothing for that long before it has the message is not coming back
const afterDataMs = 600_000 // RFC 5321 §4.5.3.2.6: giving up earlier makes the server deliver a mail twice

/** Connects to the mail server and signs in. Throws an error whose message says why that failed. */
export async function open(settings: TransportSettings, signal?: AbortSignal): Promise<SmtpConnection> {
  const { SMTP_URL, INSECURE_SMTP_CONNECTION, ISSUER } = settings
  if (!SMTP_URL) throw new Error('SMTP_URL is not set.')
  const server = readSmtpUrl(SMTP_URL.reveal())
  const isTlsOptional = server.isLoopback || INSECURE_SMTP_CONNECTION
  const connection = new SMTPConnection({
    host: server.host,
    port: server.port,
    secure: server.isTls,
    requireTLS: !server.isTls && !isTlsOptional,
    opportunisticTLS: isTlsOptional,
    name: new URL(ISSUER).hostname,
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    dnsTimeout: connectMs,
    socketTimeout: afterDataMs,
    // Explicit: otherwise NODE_TLS_REJECT_UNAUTHORIZED=0 would count.
    tls: { rejectUnauthorized: !isTlsOptional, minVersion: 'TLSv1.2' },
  })
  let onLost: (error: Error) => void = () => {}
  connection.on('error', (error: Error) => onLost(error))
  const during = (begin: (done: (error?: Error | null) => void) => void) =>
    within(silenceMs, connection, (resolve, reject) => {
      onLost = reject
      begin((error) => (error ? reject(error) : resolve()))
    })
  const abort = () => {
    connection.close()
    onLost(new Error('The connection is no longer needed.'))
  }
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await during((done) => connection.connect(done))
    const greeting = String(connection.lastServerResponse || '')
    if (server.user !== undefined) {
      if (!connection.allowsAuth) throw new Error('The server offers no way to sign in.')
      const { user, password } = server
      await during((done) => connection.login({ user, pass: password, credentials: { user, pass: password } }, done))
    }
    onLost = () => {}
    return {
      greeting,
      isEncrypted: connection.secure,
      send: (message, onData) => send(connection, { message, onData, hasUtf8: /[ -]SMTPUTF8\b/im.test(greeting) }),
      close: () => void connection.quit(),
    }
  } catch (error) {
    connection.close()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

function within(
  ms: number,
  connection: SMTPConnection,
  begin: (resolve: () => void, reject: (error: Error) => void) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    connection.close()
    reject(new Error(`The server did not answer within ${ms / 1000} seconds.`))
  }, ms)
  begin(resolve, reject)
  return promise.finally(() => clearTimeout(timer))
}

async function send(
  connection: SMTPConnection,
  { message, onData, hasUtf8 }: { message: Message; onData: () => Promise<boolean>; hasUtf8: boolean },
): Promise<Outcome> {
  const isUtf8 = /[^\x20-\x7e]/.test(message.from + message.to)
  if (isUtf8 && !hasUtf8) {
    const reason = 'The mail server does not accept addresses with letters outside of ASCII before the @ (SMTPUTF8).'
    return { result: 'refused', reason }
  }
  let hasData = false
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const fail = (error: SmtpError) => {
    resolve(outcomeOf(error, hasData))
    connection.close()
  }
  const silence = setTimeout(() => fail(new Error('The server did not answer.')), silenceMs)
  const content = Readable.from(
    (async function* () {
      if (!(await onData())) throw new Error('Another process sends this letter.')
      clearTimeout(silence) // from here on the timeout of the socket counts
      hasData = true
      yield message.raw
    })(),
  )
  connection.once('error', fail)
  connection.once('end', () => fail(new Error('The server closed the connection.')))
  connection.send({ from: message.from, to: [message.to], size: message.raw.length }, content, (error, info) =>
    error ? fail(error) : resolve({ result: 'accepted', answer: info.response }),
  )
  try {
    return await promise
  } finally {
    clearTimeout(silence)
    connection.removeListener('error', fail)
    connection.removeAllListeners('end')
  }
}

type SmtpError = Error & {
  responseCode?: number | undefined
  code?: string | undefined
  command?: string | undefined
}

const authenticationStatuses = [530, 534, 535, 538] // RFC 4954 §6: the settings are wrong, and not the mail

function outcomeOf({ responseCode: status, code, command, message }: SmtpError, hasData: boolean): Outcome {
  const reason = message.slice(0, 500)
  if (status === undefined) {
    // Without an answer of the server, these codes say that the message was not even offered to it.
    const isOurs = code === 'EENVELOPE' || code === 'EMESSAGE'
    return { result: hasData ? 'unknown' : isOurs ? 'refused' : 'deferred', reason }
  }
  // RFC 5321 §4.2.1: 5yz is final. 503 says that the session is wrong, and a refused sender is a matter of settings:
  // no letter shall be lost for either.
  const isFinal = status >= 500 && status !== 503 && command !== 'MAIL FROM' && !authenticationStatuses.includes(status)
  return { result: isFinal ? 'refused' : 'deferred', reason }
}

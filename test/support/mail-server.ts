import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A mail as the server received it. */
export type ReceivedMail = {
  from: string
  to: string[]
  /** The message as it was on the wire. */
  raw: string
  messageId: string
}

/** The behaviour of the mail server, which a test can change. A hook that throws makes it answer with the `responseCode` of the error. */
export type MailServerBehaviour = {
  onRecipient?: (address: string) => Promise<void> | void
  /** Before the message is read. */
  onMessage?: (socket: Socket) => Promise<void> | void
  /** When the message was read and kept, before the answer. */
  onKept?: (mail: ReceivedMail, socket: Socket) => Promise<void> | void
}

export type MailServer = {
  url: string
  port: number
  /** Everything that the server accepted, oldest first. */
  mails: ReceivedMail[]
  behaviour: MailServerBehaviour
  connections: () => number
  /** Waits for the mail that goes to an address. */
  mailTo(address: string): Promise<ReceivedMail>
  stop(): Promise<void>
}

/** Returns an error that the server answers with. */
export const answer = (responseCode: number, message: string): Error =>
  Object.assign(new Error(message), { responseCode })

/** Starts a mail server on loopback. */
export async function startMailServer({
  port = 0,
  host = '127.0.0.1',
  ...options
}: SMTPServerOptions & { port?: number; host?: string } = {}): Promise<MailServer> {
  const mails: ReceivedMail[] = []
  const waiting: (() => void)[] = []
  const behaviour: MailServerBehaviour = {}
  let connections = 0
  const sockets = new Map<string, Socket>()
  const finish = (work: Promise<void> | void, done: (error?: Error | null) => void) =>
    void Promise.resolve(work).then(() => done(), done)
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 100,
    onConnect(_session, done) {
      connections += 1
      done()
    },
    onRcptTo({ address }, _session, done) {
      finish((async () => behaviour.onRecipient?.(address))(), done)
    },
    onData(stream, session, done) {
      const socket = sockets.get(`${session.remoteAddress}:${session.remotePort}`) as Socket
      const receive = async () => {
        await behaviour.onMessage?.(socket)
        const raw = await text(stream)
        const mail = {
          from: session.envelope.mailFrom ? session.envelope.mailFrom.address : '',
          to: session.envelope.rcptTo.map(({ address }) => address),
          raw,
          messageId: /^Message-ID: (.*)$/im.exec(raw)?.[1]?.trim() ?? '',
        }
        mails.push(mail)
        for (const wake of waiting.splice(0)) wake()
        await behaviour.onKept?.(mail, socket)
      }
      finish(receive(), done)
    },
    ...options,
  })
  server.on('error', () => {}) // clients that break off
  server.server.on('connection', (socket: Socket) => {
    const key = `${socket.remoteAddress?.replace(/^::ffff:/, '')}:${socket.remotePort}`
    sockets.set(key, socket)
    socket.once('close', () => sockets.delete(key))
  })
  await new Promise<void>((resolve) => server.listen(port, host, () => resolve()))
  const { port: own } = server.server.address() as AddressInfo
  return {
    url: `smtp://${host}:${own}`,
    port: own,
    mails,
    behaviour,
    connections: () => connections,
    async mailTo(address) {
      for (;;) {
        const found = mails.find(({ to }) => to.includes(address))
        if (found) return found
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets.values()) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** Reads a header of a mail, unfolded but not decoded. */
export function headerOf({ raw }: ReceivedMail, name: string): string | undefined {
  const head = raw.slice(0, raw.indexOf('\r\n\r\n')).replace(/\r\n[ \t]+/g, ' ')
  const line = head.split('\r\n').find((one) => one.toLowerCase().startsWith(`${name.toLowerCase()}:`))
  return line?.slice(name.length + 1).trim()
}

/** Returns the plain text of a mail. */
export function textOf({ raw }: ReceivedMail): string {
  return partOf(raw, 'text/plain')
}

/** Returns the first https or http link in the text of a mail. */
export function linkIn(mail: ReceivedMail, path = ''): string {
  const found = textOf(mail)
    .split(/\s+/)
    .find((word) => /^https?:\/\//.test(word) && word.includes(path))
  if (!found) throw new Error(`There is no link in:\n${textOf(mail)}`)
  return found
}

function partOf(raw: string, type: string): string {
  const boundary = /boundary="?([^"\r\n;]+)"?/.exec(raw)?.[1]
  const parts = boundary ? raw.split(`--${boundary}`) : [raw]
  const part = parts.find((one) => new RegExp(`content-type: ${type}`, 'i').test(one)) ?? ''
  const [head = '', ...rest] = part.split('\r\n\r\n')
  const body = rest.join('\r\n\r\n')
  if (/content-transfer-encoding: base64/i.test(head)) return Buffer.from(body, 'base64').toString('utf8')
  if (!/content-transfer-encoding: quoted-printable/i.test(head)) return body
  const bytes = body
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_match, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

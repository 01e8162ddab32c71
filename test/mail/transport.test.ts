import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parse } from '../../src/config/index.ts'
import { open } from '../../src/mail/transport.ts'
import { createCertificate } from '../support/certificate.ts'
import { type MailServer, startMailServer } from '../support/mail-server.ts'

// Every address of 127.0.0.0/8 is on this machine, but Postern trusts only 127.0.0.1 to be.
const elsewhere = '127.0.0.2'
const accept = { onAuth: (_auth: unknown, _session: unknown, done: Done) => done(null, { user: 'ada' }) }
type Done = (error: Error | null, answer?: { user: string }) => void

let mailServer: MailServer
const start = async (options: Parameters<typeof startMailServer>[0]) => {
  mailServer = await startMailServer({ host: elsewhere, ...options })
}
afterEach(() => mailServer?.stop())

const settings = (more: Record<string, string> = {}) => ({
  ...parse({
    ISSUER: 'https://id.example.com',
    SMTP_URL: `smtp://ada:a-password@${elsewhere}:${mailServer.port}`,
    MAIL_FROM: 'no-reply@example.com',
    ...more,
  }),
})

describe('a mail server that is not on this machine', () => {
  test('gets neither a mail nor the password if it offers no TLS', async () => {
    const onAuth = vi.fn()
    await start({ onAuth, allowInsecureAuth: true, authMethods: ['PLAIN'] })
    await expect(open(settings())).rejects.toThrow(/STARTTLS|TLS/i)
    expect(onAuth).not.toHaveBeenCalled()
  })

  test('gets neither of them if its certificate is not valid', async () => {
    const onAuth = vi.fn()
    await start({ ...createCertificate(), disabledCommands: [], onAuth })
    await expect(open(settings())).rejects.toThrow(/certificate/i)
    expect(onAuth).not.toHaveBeenCalled()
  })

  test('may lack both with INSECURE_SMTP_CONNECTION', async () => {
    await start({ ...accept, allowInsecureAuth: true })
    const connection = await open(settings({ INSECURE_SMTP_CONNECTION: 'true' }))
    expect(connection.isEncrypted).toBe(false)
    connection.close()
  })
})

describe('a mail server on this machine', () => {
  test('may have a certificate of its own', async () => {
    await start({ host: '127.0.0.1', ...createCertificate(), disabledCommands: [], ...accept })
    const connection = await open(settings({ SMTP_URL: `smtp://ada:a-password@127.0.0.1:${mailServer.port}` }))
    expect(connection.isEncrypted).toBe(true)
    connection.close()
  })
})

describe('a connection', () => {
  const message = { raw: Buffer.from('Subject: x\r\n\r\nx\r\n'), from: 'no-reply@example.com', to: 'ada@example.com' }
  beforeEach(async () => {
    await start({ host: '127.0.0.1', hideSMTPUTF8: true })
  })
  afterEach(() => {
    vi.useRealTimers()
  })
  const connect = () => open(settings({ SMTP_URL: mailServer.url }))

  test('sends nothing of a message that another process sends', async () => {
    const connection = await connect()
    const outcome = await connection.send(message, async () => false)
    expect(outcome.result).toBe('deferred')
    expect(mailServer.mails).toEqual([])
  })

  test('gives up after a minute of silence before the message, which the server then does not have', async () => {
    mailServer.behaviour.onRecipient = () => new Promise(() => {})
    const connection = await connect()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const sending = connection.send(message, async () => true)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await sending).toEqual({ result: 'deferred', reason: 'The server did not answer.' })
  })

  test('waits longer for the answer to a whole message, because the server may have accepted it', async () => {
    const kept = Promise.withResolvers<void>()
    mailServer.behaviour.onKept = () => kept.promise
    const connection = await connect()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const sending = connection.send(message, async () => true)
    await mailServer.mailTo('ada@example.com')
    await vi.advanceTimersByTimeAsync(300_000)
    kept.resolve()
    expect((await sending).result).toBe('accepted')
    connection.close()
  })

  test('refuses an address in another script that the server does not accept', async () => {
    const connection = await connect()
    const outcome = await connection.send({ ...message, to: 'jörg@example.com' }, async () => true)
    expect(outcome).toMatchObject({ result: 'refused', reason: expect.stringContaining('SMTPUTF8') })
    connection.close()
  })
})

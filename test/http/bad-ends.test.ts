import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, createAdministrator } from '../support/admin.ts'
import { eventually } from '../support/eventually.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createToken } from '../support/registration.ts'
import { basic } from '../support/wire.ts'

const error = 50 // pino's number for this level
let postern: TestPostern
let port: number

beforeAll(async () => {
  postern = await startPostern()
  port = Number(new URL(postern.issuer).port)
})
afterAll(() => postern?.stop())

const paths = [
  '/oauth/token',
  '/oauth/par',
  '/oauth/device_authorization',
  '/oauth/introspect',
  '/oauth/revoke',
  '/oauth/register',
  '/oauth/logout/confirm',

  '/interaction/unknown/sign-in',
  '/admin/api/clients',
]

async function open(): Promise<Socket> {
  const socket = connect(port, 'localhost')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

const typeAt = (path: string) =>
  path.startsWith('/admin') || path.endsWith('/register') ? 'application/json' : 'application/x-www-form-urlencoded'

function head(path: string, more: string[] = []): string {
  const first = [`POST ${path} HTTP/1.1`, `Host: localhost:${port}`, `Content-Type: ${typeAt(path)}`]
  return [...first, ...more, '', ''].join('\r\n')
}

/** Returns the statuses of all answers on one connection until the server closes it. */
async function statusesOf(sent: string): Promise<number[]> {
  const socket = await open()
  let answered = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answered += chunk
  })
  socket.write(sent, 'latin1')
  await once(socket, 'close')
  return [...answered.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
}

/** Every way for a client to break off its request. */
const ends: [string, (socket: Socket, path: string) => void | Promise<void>][] = [
  [
    'a body that is cut short',
    async (socket, path) => {
      socket.write(`${head(path, ['Content-Length: 100'])}a=`)
      await sleep(30) // the server is reading the body by now
      socket.destroy()
    },
  ],
  [
    'a body that is cut short by a reset',
    async (socket, path) => {
      socket.write(`${head(path, ['Content-Length: 100'])}a=`)
      await sleep(30)
      socket.resetAndDestroy()
    },
  ],
  [
    'an invalid chunk',
    async (socket, path) => {
      socket.write(`${head(path, ['Transfer-Encoding: chunked'])}3\r\na=b\r\n`)
      await sleep(30)
      socket.write('zz\r\n')
    },
  ],
  [
    'a connection that is reset before the answer',
    (socket, path) => {
      socket.write(`${head(path, ['Content-Length: 3'])}a=b`, () => socket.resetAndDestroy())
    },
  ],
  [
    'data after the request that is not HTTP',
    (socket, path) => {
      socket.write(`${head(path, ['Content-Length: 3'])}a=b\x00\x01 what\r\n\r\n`)
    },
  ],
  [
    'a head that is not HTTP',
    (socket) => {
      socket.write('GET / HTTP/9.9\r\nx\r\n\r\n')
    },
  ],
]

describe('a request that its client breaks off or spoils', () => {
  test.each(ends)(
    'with %s is no error of the server: it logs nothing at level error, and no stack',
    async (_name, end) => {
      postern.logged.splice(0)
      for (const path of paths) {
        const socket = await open()
        await end(socket, path)
        await sleep(20)
        socket.destroy()
      }
      // Once another request is served, so are all of these.
      await eventually(async () => expect((await fetch(`${postern.issuer}/health/ready`)).status).toBe(200))
      await eventually(() => expect(postern.logged.join()).toContain('/health/ready'))
      const lines = postern.logged.map((line) => JSON.parse(line) as { level: number; err?: unknown })
      expect(lines.filter(({ level, err }) => level >= error || err !== undefined)).toEqual([])
    },
  )

  test('is logged for those who look for it', async () => {
    postern.logged.splice(0)
    const socket = await open()
    await ends[2]?.[1](socket, '/oauth/token')
    await eventually(() => expect(postern.logged.join()).toContain('a client ended its request early'))
    expect(postern.logged.join()).toContain('HPE_')
    socket.destroy()
  })
})

describe('RFC 9112 §6.3: a request whose end is ambiguous', () => {
  const chunked = 'Transfer-Encoding: chunked'
  const hidden = () => `GET /health/live HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`

  test.each([
    ['a length before chunks', ['Content-Length: 6', chunked]],
    ['chunks before a length', [chunked, 'Content-Length: 6']],
    ['two lengths', ['Content-Length: 0', 'Content-Length: 6']],
    ['a list of lengths', ['Content-Length: 0, 6']],
    ['a length with a sign', ['Content-Length: +0']],
    ['a length in hexadecimal', ['Content-Length: 0x0']],
    ['a coding that is almost chunked', ['Transfer-Encoding: xchunked']],
    ['a coding after chunked', ['Transfer-Encoding: chunked, identity']],
    ['a second coding', [chunked, 'Transfer-Encoding: identity']],
    ['a space before the colon', ['Transfer-Encoding : chunked']],
    ['a space before the name', [` ${chunked}`]],
    ['a value on the next line', ['Transfer-Encoding:', ' chunked']],
    ['a control character before the value', ['Transfer-Encoding: \x0bchunked']],
    ['a line that ends with only a line feed', [`X: a\n${chunked}`]],
  ])('is rejected, and what follows it is not answered: %s', async (_what, lines) => {
    expect(await statusesOf(`${head('/oauth/token', lines)}0\r\n\r\n${hidden()}`)).toEqual([400])
  })

  test('is rejected if a chunk size is unusual, and what follows it is not answered', async () => {
    for (const size of ['0x0', '0;\n', '+0', '-0', ' 0']) {
      const statuses = await statusesOf(`${head('/oauth/token', [chunked])}${size}\r\n\r\n${hidden()}`)
      expect([size, statuses]).toEqual([size, [400]])
    }
  })

  test('does not include one with an underscore, which names another header', async () => {
    const sent = head('/oauth/token', ['Transfer_Encoding: chunked', 'Content-Length: 5'])
    expect(await statusesOf(`${sent}0\r\n\r\n${hidden()}`)).toEqual([400, 200])
  })
})

describe('RFC 6585 §5: a head that is too large', () => {
  test.each([
    ['many headers', Array.from({ length: 3_000 }, (_, n) => `x${n}: 1`)],
    ['a long header', [`x: ${'a'.repeat(20_000)}`]],
  ])('is rejected with 431: %s', async (_what, lines) => {
    expect(await statusesOf(head('/oauth/token', lines))).toEqual([431])
  })
})

describe('a body that is too large', () => {
  let authorizations: Record<string, string>
  beforeAll(async () => {
    const client = await postern.createClient()
    const byClient = basic(client.client_id, String(client['client_secret']))
    authorizations = {
      '/oauth/token': byClient,
      '/oauth/par': byClient,
      '/oauth/device_authorization': byClient,
      '/oauth/introspect': byClient,
      '/oauth/revoke': byClient,
      '/oauth/register': `Bearer ${await createToken(postern)}`,
      '/admin/api/clients': `Bearer ${await adminToken(postern, await createAdministrator(postern))}`,
    }
  })

  test.each<[string, string, (body: Buffer<ArrayBuffer>) => Buffer<ArrayBuffer>]>([
    ['as sent', '', (body) => body],
    ['when unpacked from gzip', 'gzip', gzipSync],
    ['when unpacked from deflate', 'deflate', deflateSync],
    ['when unpacked from br', 'br', brotliCompressSync],
  ])('%s is rejected at every endpoint that takes one', async (_how, encoding, pack) => {
    for (const path of paths) {
      const { [path]: authorization = '' } = authorizations
      const text =
        typeAt(path) === 'application/json' ? `{"client_name":"${'x'.repeat(300_000)}"}` : 'a=b&'.repeat(75_000)
      const headers = { 'content-type': typeAt(path), ...(encoding && { 'content-encoding': encoding }) }
      const response = await fetch(`${postern.issuer}${path}`, {
        method: 'POST',
        headers: { ...headers, ...(authorization && { authorization }) },
        body: pack(Buffer.from(text)),
        redirect: 'manual',
      })
      // The engine does not unpack bodies, and calls both kinds unreadable. A packed sign-out only leads to the
      // question again.
      const isAskedAgain = encoding !== '' && path === '/oauth/logout/confirm'
      const expected = isAskedAgain ? 303 : path.startsWith('/oauth/') ? 400 : 413
      expect([path, response.status]).toEqual([path, expected])
      await response.body?.cancel()
    }
  })
})

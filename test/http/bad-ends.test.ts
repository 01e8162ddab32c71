import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startPostern, type TestPostern } from '../support/postern.ts'

const error = 50 // pino's number of the level
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

function head(path: string, more: string[] = []): string {
  const type =
    path.startsWith('/admin') || path.endsWith('/register') ? 'application/json' : 'application/x-www-form-urlencoded'
  return [`POST ${path} HTTP/1.1`, `Host: localhost:${port}`, `Content-Type: ${type}`, ...more, '', ''].join('\r\n')
}

/** Every way in which a client can end its request badly. */
const ends: [string, (socket: Socket, path: string) => void | Promise<void>][] = [
  [
    'a body that is cut short',
    async (socket, path) => {
      socket.write(`${head(path, ['Content-Length: 100'])}a=`)
      await sleep(30) // so that the server reads the body by now
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
    'a chunk that is none',
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
    'something after the request that is no HTTP',
    (socket, path) => {
      socket.write(`${head(path, ['Content-Length: 3'])}a=b\x00\x01 what\r\n\r\n`)
    },
  ],
  [
    'a head that is no HTTP',
    (socket) => {
      socket.write('GET / HTTP/9.9\r\nx\r\n\r\n')
    },
  ],
]

describe('A request that its client ends badly', () => {
  test.each(ends)('by %s is no error of ours: nothing at level error, and no stack', async (_name, end) => {
    postern.logged.splice(0)
    for (const path of paths) {
      const socket = await open()
      await end(socket, path)
      await sleep(20)
      socket.destroy()
    }
    // The last of them has been served once another request is.
    await vi.waitFor(async () => expect((await fetch(`${postern.issuer}/health/ready`)).status).toBe(200))
    await vi.waitFor(() => expect(postern.logged.join()).toContain('/health/ready'))
    const lines = postern.logged.map((line) => JSON.parse(line) as { level: number; err?: unknown })
    expect(lines.filter(({ level, err }) => level >= error || err !== undefined)).toEqual([])
  })

  test('is noted, for who looks for it', async () => {
    postern.logged.splice(0)
    const socket = await open()
    await ends[2]?.[1](socket, '/oauth/token')
    await vi.waitFor(() => expect(postern.logged.join()).toContain('a client ended its request early'))
    expect(postern.logged.join()).toContain('HPE_')
    socket.destroy()
  })
})

import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HttpServer, listen } from '../../src/http/server.ts'
import { eventually } from '../support/eventually.ts'

const requestTimeoutMs = 1_000
let server: HttpServer

beforeAll(async () => {
  server = await listen({
    handler: (req, res) => {
      const answer = () => res.end('answered')
      req.resume().once('end', () => setTimeout(answer, req.url === '/slow' ? 2 * requestTimeoutMs : 0))
    },
    refuse: (_req, res, { status, reason }) => res.writeHead(status).end(reason),
    issuer: 'http://localhost',
    trustedProxies: [],
    host: '127.0.0.1',
    port: 0,
    maxConnections: 10,
    requestTimeoutMs,
  })
})
afterAll(() => server?.stop(0))

/** Sends text, and then more of it while the connection is open. Returns the answer, and the time until the end. */
async function say(text: string, more = ''): Promise<{ answer: string; afterMs: number }> {
  const beganAt = Date.now()
  const socket: Socket = connect(server.port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk
  })
  socket.on('error', () => {})
  socket.write(text)
  const drip = setInterval(() => socket.write(more), 100)
  await new Promise((resolve) => socket.once('close', resolve)) // also after a reset, which `once` of events would throw
  clearInterval(drip)
  return { answer, afterMs: Date.now() - beganAt }
}

const head = 'Host: localhost\r\nConnection: close\r\n'

describe.concurrent('RFC 9110 §15.5.9: a client that sends its request too slowly', () => {
  test.each([
    ['nothing of it', '', ''],
    ['half a head', `GET / HTTP/1.1\r\n${head}X-`, ''],
    ['a head, letter by letter', `GET / HTTP/1.1\r\n${head}X-`, 'x'],
    ['half a body', `POST / HTTP/1.1\r\n${head}Content-Length: 100\r\n\r\na`, ''],
    ['a body, letter by letter', `POST / HTTP/1.1\r\n${head}Content-Length: 100\r\n\r\na`, 'a'],
    ['one chunk after another', `POST / HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n`, '1\r\na\r\n'],
  ])('has its connection closed: %s', async (_what, text, more) => {
    const { answer, afterMs } = await say(text, more)
    expect(answer).toMatch(/^(HTTP\/1\.1 408 |$)/)
    expect(afterMs).toBeGreaterThan(requestTimeoutMs - 100)
  })
})

test('an answer may take longer than the time limit of a request', async () => {
  // Again if it fails: on a busy machine, the request itself may arrive too late.
  await eventually(async () => {
    const { answer, afterMs } = await say(`GET /slow HTTP/1.1\r\n${head}\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 .*answered/s)
    expect(afterMs).toBeGreaterThan(2 * requestTimeoutMs - 100)
  })
})

describe('a server that stops', () => {
  test('answers every request that has arrived, even if its connection is not accepted yet', async () => {
    const stopping = await listen({
      handler: (_req, res) => res.writeHead(200, { connection: 'close' }).end('answered'),
      refuse: (_req, res, { status, reason }) => res.writeHead(status).end(reason),
      issuer: 'http://localhost',
      trustedProxies: [],
      host: '127.0.0.1',
      port: 0,
      maxConnections: 100,
    })
    // The kernel completes these connections, but this process does not turn to them before it stops the server.
    const answers = Array.from({ length: 40 }, async () => {
      const socket = connect(stopping.port, '127.0.0.1').setEncoding('latin1')
      socket.write(`GET / HTTP/1.1\r\n${head}\r\n`)
      const chunks: string[] = []
      for await (const chunk of socket) chunks.push(String(chunk))
      return chunks.join('').slice(0, 15)
    })
    await new Promise((resolve) => process.nextTick(resolve)) // Node.js connects in the next tick
    const stopped = stopping.stop(120_000)
    expect(await Promise.all(answers)).toEqual(Array(40).fill('HTTP/1.1 200 OK'))
    await stopped
  })
})

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const most = 20
let postern: TestPostern
let port: number
let sockets: Socket[] = []

beforeAll(async () => {
  postern = await startPostern({ MAX_CONNECTIONS: String(most) })
  port = Number(new URL(postern.issuer).port)
})
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  sockets = []
})
afterAll(() => postern?.stop())

/** Opens a connection that sends this text and nothing more. */
async function hold(text: string): Promise<Socket> {
  const socket = connect(port, 'localhost')
  socket.on('error', () => {})
  sockets.push(socket)
  await once(socket, 'connect')
  socket.resume()
  socket.write(text)
  return socket
}

const host = () => `Host: localhost:${port}\r\n`
const stillOpen = () => sockets.filter((socket) => !socket.closed)

describe('the number of connections', () => {
  test.each([
    ['nothing at all', () => ''],
    ['half a head', () => `GET / HTTP/1.1\r\n${host()}X-`],
    ['half a body', () => `POST /oauth/token HTTP/1.1\r\n${host()}Content-Length: 100\r\n\r\na=`],
    ['a request, and then nothing', () => `GET /health/live HTTP/1.1\r\n${host()}\r\n`],
    [
      'a body that is never read, and then nothing',
      () => `POST /nothing HTTP/1.1\r\n${host()}Content-Length: 2\r\n\r\naa`,
    ],
    ['an empty body, and then nothing', () => `POST /nothing HTTP/1.1\r\n${host()}Content-Length: 0\r\n\r\n`],
    ['two requests at once, and then nothing', () => `GET /health/live HTTP/1.1\r\n${host()}\r\n`.repeat(2)],
    ['half a body that is never read', () => `POST /nothing HTTP/1.1\r\n${host()}Content-Length: 100\r\n\r\naa`],
    ['a request and half a head', () => `GET /health/live HTTP/1.1\r\n${host()}\r\nGET /`],
  ])('is limited for clients that send %s, and the server stays reachable', async (_name, text) => {
    for (let n = 0; n < 3 * most; n++) await hold(text())
    await eventually(() => expect(stillOpen().length).toBeLessThanOrEqual(most))
    for (let n = 0; n < 5; n++) {
      const ready = () => fetch(`${postern.issuer}/health/ready`, { headers: { connection: 'close' } })
      await expect.poll(async () => (await ready()).status).toBe(200)
    }
    await eventually(() => expect(stillOpen().length).toBeLessThanOrEqual(most))
  })

  test('is limited for clients that do not read their answers, and the server stays reachable', async () => {
    const request = `GET /.well-known/openid-configuration HTTP/1.1\r\n${host()}\r\n`
    for (let n = 0; n < most; n++) {
      const socket = await hold('')
      socket.pause()
      socket.write(request.repeat(2_000)) // more than fits into the buffers between the two
    }
    const isIdle = async () => {
      const before = sockets.map(({ bytesRead }) => bytesRead)
      await sleep(500)
      expect(sockets.map(({ bytesRead }) => bytesRead)).toEqual(before)
    }
    await vi.waitFor(isIdle, { timeout: 120_000 })
    for (let n = 0; n < 3; n++) {
      const ready = () => fetch(`${postern.issuer}/health/ready`, { headers: { connection: 'close' } })
      await expect.poll(async () => (await ready()).status).toBe(200)
    }
  })

  test('is reduced by closing the connection that has waited longest, not the one just used', async () => {
    const [first, second] = [await hold(''), await hold('')]
    const answered = once(first, 'data')
    first.write(`GET /health/live HTTP/1.1\r\n${host()}\r\n`)
    await answered
    for (let n = 0; n < most - 1; n++) await hold('')
    await eventually(() => expect(second.closed).toBe(true))
    expect(first.closed).toBe(false)
  })
})

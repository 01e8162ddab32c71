import { createConnection, type Socket } from 'node:net'

export type Response = { status: number; head: string; body: string }

/**
 * A keep-alive connection for one request at a time. It is far cheaper than a general client, which would take CPU time
 * from the server.
 */
export type Connection = { send(request: string): Promise<Response>; close(): void }

const bodyLength = /\r\ncontent-length: (\d+)/i

export async function open(port: number): Promise<Connection> {
  const socket: Socket = createConnection({ port, host: '127.0.0.1', noDelay: true })
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  let received = ''
  let waiting: { resolve(response: Response): void; reject(error: Error): void } | undefined

  const fail = (error: Error) => {
    waiting?.reject(error)
    waiting = undefined
  }
  socket.setEncoding('latin1')
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the server closed the connection')))
  socket.on('data', (chunk: string) => {
    received += chunk
    const end = received.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = received.slice(0, end)
    const length = bodyLength.exec(head)?.[1]
    if (length === undefined) return fail(new Error(`a response without Content-Length:\n${head}`))
    if (received.length < end + 4 + Number(length)) return
    const body = received.slice(end + 4)
    received = ''
    const { resolve } = waiting ?? {}
    waiting = undefined
    resolve?.({ status: Number(head.slice(9, 12)), head, body })
  })

  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        socket.write(request, 'latin1')
      }),
    close: () => socket.destroy(),
  }
}

import net from 'node:net'
import { freePort } from './postern.ts'

/** A server that a test writes byte by byte, to do what no LDAP server does. */
export type FakeServer = { port: number; connections: number; stop(): Promise<void> }

/** Starts a server that runs `serve` for each connection. */
export async function startFake(serve: (socket: net.Socket) => void): Promise<FakeServer> {
  const sockets = new Set<net.Socket>()
  const fake = { port: await freePort(), connections: 0, stop }
  const server = net.createServer((socket) => {
    fake.connections++
    sockets.add(socket.on('error', () => {}))
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(fake.port, '127.0.0.1', resolve))
  return fake

  async function stop(): Promise<void> {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Starts a server that passes everything on to another one, and breaks after this many messages of the client. */
export function startBreaking(port: number, afterMessages: number): Promise<FakeServer> {
  return startFake((socket) => {
    const upstream = net.connect(port, '127.0.0.1').on('error', () => socket.destroy())
    let messages = 0
    socket.on('close', () => upstream.destroy())
    upstream.on('data', (chunk) => socket.write(chunk)).on('close', () => socket.destroy())
    // The client waits for each answer, so that every chunk is one message.
    socket.on('data', (chunk) => {
      if (messages++ < afterMessages) upstream.write(chunk)
      else socket.destroy()
    })
    if (afterMessages < 0) socket.destroy()
  })
}

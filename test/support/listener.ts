import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'

export type Listener = { port: number; connections: number; stop(): Promise<void> }

/** Creates a listener on both kinds of loopback addresses, which counts connections and says nothing. */
export async function createListener({ hangsUp = false } = {}): Promise<Listener> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    listener.connections++
    sockets.add(socket)
    socket.on('error', () => {})
    if (hangsUp) socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '::', () => resolve()))
  const listener: Listener = {
    port: (server.address() as AddressInfo).port,
    connections: 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  return listener
}

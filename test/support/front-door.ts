import { connect, createServer, type Socket } from 'node:net'

/** The address of a deployment, which hands each connection to the next of its processes. */
export type FrontDoor = {
  /** How many connections each port was given. */
  connections: number[]
  stop(): Promise<void>
}

/** Listens at the issuer of a fleet, so that a browser can use it. */
export async function openFrontDoor(port: number, ports: readonly number[]): Promise<FrontDoor> {
  const sockets = new Set<Socket>()
  const connections = ports.map(() => 0)
  let count = 0
  const server = createServer((incoming) => {
    const index = count++ % ports.length
    connections[index] = (connections[index] ?? 0) + 1
    const outgoing = connect(Number(ports[index]), '127.0.0.1')
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '::', () => resolve())
  })
  return {
    connections,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

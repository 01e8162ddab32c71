import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Keeps a server at `most` connections. One more closes the one that has waited longest for its client to send
 * something: were the new one refused instead, whoever holds connections open would keep everybody else out, and the
 * probes of a load balancer first. One whose request is being answered is never closed for another.
 */
export function boundConnections(server: Server, most: number): void {
  const waiting = new Set<Socket>() // in the order in which they began to wait
  const open = new Set<Socket>()

  server.on('connection', (socket) => {
    if (open.size >= most) {
      const [longest = socket] = waiting
      waiting.delete(longest)
      open.delete(longest)
      longest.destroy()
      if (longest === socket) return
    }
    open.add(socket)
    waiting.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      waiting.delete(socket)
    })
  })

  server.on('request', (req, res) => {
    const { socket } = req
    // Until all of the request is there, it is still the client that is waited for.
    if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined)
      waiting.delete(socket)
    else
      req.once('end', () => {
        if (!res.closed) waiting.delete(socket) // a body that nobody read ends after the answer
      })
    res.once('close', () => {
      if (open.has(socket)) waiting.add(socket)
    })
  })
}

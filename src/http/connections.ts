import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Limits a server to `most` connections. A new one closes the connection that has waited longest for its client, first
 * to send a request, then to take its answer. If the new one were refused instead, a client that holds connections open
 * would keep everybody out, including the probes of a load balancer. A connection whose request is being answered stays
 * open.
 */
export function boundConnections(server: Server, most: number): void {
  const open = new Set<Socket>()
  const sending = new Set<Socket>() // connections that wait for a request, the longest first
  const answers = new Map<Socket, ServerResponse>() // the last answer on each of the other connections

  function longestWaiting(): Socket | undefined {
    const [longest] = sending
    return longest ?? [...answers].find(([, answer]) => answer.writableEnded)?.[0]
  }

  function forget(socket: Socket): void {
    open.delete(socket)
    sending.delete(socket)
    answers.delete(socket)
  }

  server.on('connection', (socket) => {
    if (open.size >= most) {
      const longest = longestWaiting() ?? socket
      forget(longest)
      longest.destroy()
      if (longest === socket) return
    }
    open.add(socket)
    sending.add(socket)
    socket.once('close', () => forget(socket))
  })

  server.on('request', (req, res) => {
    const { socket } = req
    const beginAnswer = () => {
      if (res.closed || !open.has(socket)) return // an unread body ends after the answer
      sending.delete(socket)
      answers.set(socket, res)
    }
    // Until the whole request has arrived, the connection still waits for its client.
    if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined) beginAnswer()
    else req.once('end', beginAnswer)
    res.once('close', () => {
      if (answers.get(socket) !== res) return
      answers.delete(socket)
      sending.add(socket)
    })
  })
}

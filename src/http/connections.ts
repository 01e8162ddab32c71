import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Keeps a server at `most` connections. One more closes the one that has waited longest for its client: to send something,
 * or else to take its answer. Were the new one refused instead, whoever holds connections open would keep everybody else
 * out, and the probes of a load balancer first. One whose request is being answered is never closed for another.
 */
export function boundConnections(server: Server, most: number): void {
  const open = new Set<Socket>()
  const sending = new Set<Socket>() // those whose client has to send, in the order in which they began to wait
  const answers = new Map<Socket, ServerResponse>() // the last to each of the others

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
      if (res.closed || !open.has(socket)) return // a body that nobody read ends after the answer
      sending.delete(socket)
      answers.set(socket, res)
    }
    // Until all of the request is there, it is still the client that is waited for.
    if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined) beginAnswer()
    else req.once('end', beginAnswer)
    res.once('close', () => {
      if (answers.get(socket) !== res) return
      answers.delete(socket)
      sending.add(socket)
    })
  })
}

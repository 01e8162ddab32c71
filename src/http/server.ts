import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { boundConnections } from './connections.ts'
import { createOriginPin, reasonOf } from './middleware/origin.ts'
import type { RefuseEarly } from './refused-early.ts'

export type HttpServer = {
  port: number
  /** Refuses new connections, lets requests in flight finish, and closes the remaining connections at the deadline. */
  stop(deadlineMs: number): Promise<void>
}

export type ListenOptions = {
  handler: RequestListener
  /** Answers a request that must not reach the handler. */
  refuse: RefuseEarly
  issuer: string
  trustedProxies: readonly string[]
  /** Is called once, with the first address that forwards requests and is not a trusted proxy. */
  onUntrustedProxy?(address: string): void
  host: string
  port: number
  maxConnections: number
  /** The time a client has to send a whole request, head and body. */
  requestTimeoutMs?: number
}

const checkEveryMs = 1_000 // by default Node.js looks for slow requests every 30 s

const badRequest = 400 // for more than one Host (RFC 9112 §3.2): a proxy in front may have read another one
const misdirected = 421 // RFC 9110 §15.5.20

// Probes do not know the host name, and the page that leads to the right host needs its style sheet.
const isForAll = /^\/(?:health|assets)\//

/** Listens, and passes only requests for the issuer's host to the handler. Probes may use any host name. */
export async function listen({
  handler,
  refuse,
  issuer,
  trustedProxies,
  onUntrustedProxy,
  host,
  port,
  maxConnections,
  requestTimeoutMs = 30_000,
}: ListenOptions): Promise<HttpServer> {
  const pin = createOriginPin({ issuer, trustedProxies, onUntrustedProxy })
  const timeouts = {
    keepAliveTimeout: 65_000,
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: checkEveryMs,
  }
  const server = createServer(timeouts, (req, res) => {
    if ((req.headersDistinct['host']?.length ?? 0) > 1) {
      refuse(req, res, { status: badRequest, reason: 'A request names one host.', address: pin(req).address })
      return
    }
    const { mismatch, address } = pin(req)
    if (mismatch !== undefined && !isForAll.test(req.url ?? '')) {
      refuse(req, res, { status: misdirected, reason: reasonOf(issuer, mismatch), mismatch, address })
      return
    }
    handler(req, res)
  })
  boundConnections(server, maxConnections)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve())
  })
  return { port: (server.address() as AddressInfo).port, stop: (deadlineMs) => stop(server, deadlineMs) }
}

async function stop(server: Server, deadlineMs: number): Promise<void> {
  const endsAt = Date.now() + deadlineMs
  await acceptWaiting(server)
  await new Promise<void>((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), endsAt - Date.now())
    server.close(() => {
      clearTimeout(deadline)
      resolve()
    })
    server.closeIdleConnections()
  })
}

const longestQueue = 511 // connections that the kernel keeps until they are accepted: the default of Node.js

/**
 * Accepts the connections that have arrived. One that is not accepted would be reset when the server closes, and its
 * request lost. In each turn of its event loop, Node.js accepts one connection. After a turn without one, none is left,
 * and the request on the last one was read.
 */
async function acceptWaiting(server: Server): Promise<void> {
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  let accepted = 0
  const count = () => {
    accepted += 1
  }
  await turn() // the rest of this one
  server.on('connection', count)
  for (let turns = 0, before = -1; accepted > before && turns <= longestQueue; turns++) {
    before = accepted
    await turn()
  }
  server.off('connection', count)
}

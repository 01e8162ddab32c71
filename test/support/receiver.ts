import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Received = { method: string; path: string; headers: IncomingMessage['headers']; body: string }

export type Receiver = { url: string; received: Received[]; stop(): Promise<void> }

/**
 * Creates a small server of a relying party on loopback, which records what it receives and always answers the same.
 */
export async function createReceiver(
  answer: { status?: number; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Receiver> {
  const received: Received[] = []
  const server = createServer(async (req, res) => {
    let body = ''
    for await (const chunk of req) body += String(chunk)
    received.push({ method: String(req.method), path: String(req.url), headers: req.headers, body })
    res.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
    res.end(JSON.stringify(answer.body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

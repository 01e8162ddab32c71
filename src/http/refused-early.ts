import type { IncomingMessage, ServerResponse } from 'node:http'
import { isForPrograms } from '../oidc/endpoints.ts'

/** Answers a request that the application never sees: a program gets JSON, anybody else a line of text. */
export function refuseEarly(req: IncomingMessage, res: ServerResponse, status: 400 | 421, reason: string): void {
  const isJson = isForPrograms(pathOf(req))
  res.writeHead(status, {
    'Content-Type': isJson ? 'application/json; charset=utf-8' : 'text/plain; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(status === 400 && { Connection: 'close' }),
  })
  res.end(isJson ? JSON.stringify({ error: 'invalid_request', error_description: reason }) : `${reason}\n`)
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return URL.parse(url, 'http://localhost')?.pathname ?? '/'
}

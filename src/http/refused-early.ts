import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import { randomId } from '../crypto/digests.ts'
import type { Language } from '../languages/index.ts'
import { isForPrograms, loggedPath } from '../oidc/endpoints.ts'
import { chooseLanguage } from '../oidc/request/reader.ts'
import type { Mismatch } from '../views/pages/elsewhere.ts'
import type { Render } from '../views/render.ts'
import { headersOfEvery } from './middleware/security-headers.ts'

/** The answer to a request that is rejected before the application sees it. */
export type EarlyAnswer = {
  status: 400 | 421
  reason: string
  /** The reason as the page tells it, if there is a page. */
  mismatch?: Mismatch
  address: string
}

export type RefuseEarly = (req: IncomingMessage, res: ServerResponse, answer: EarlyAnswer) => void

/**
 * Answers such a request: a program gets JSON, a person a page that leads to the issuer, and any other client one line.
 */
export function createEarlyRefusals({
  issuer,
  defaultLanguage,
  render,
  log,
}: {
  issuer: string
  defaultLanguage: Language
  render: Render
  log: Logger
}): RefuseEarly {
  const headers = headersOfEvery()
  const page = (req: IncomingMessage, mismatch: Mismatch) => {
    const language = chooseLanguage({ accepted: req.headers['accept-language'], fallback: defaultLanguage })
    return render({ language }, 'elsewhere', { issuer, mismatch })
  }

  return (req, res, { status, reason, mismatch, address }) => {
    const path = pathOf(req)
    const requestId = randomId(12)
    const { type, body } = isForPrograms(path)
      ? { type: 'application/json', body: JSON.stringify({ error: 'invalid_request', error_description: reason }) }
      : mismatch && req.headers.accept?.includes('text/html')
        ? { type: 'text/html', body: page(req, mismatch) }
        : { type: 'text/plain', body: `${reason}\n` }
    res.writeHead(status, {
      ...headers,
      'Content-Type': `${type}; charset=utf-8`,
      'Cache-Control': 'no-store, no-transform',
      'X-Request-Id': requestId,
      ...(status === 400 && { Connection: 'close' }),
    })
    res.end(body)
    const { method } = req
    log.info(
      { requestId, method, path: loggedPath(path), status, address, error: 'invalid_request', reason },
      'request',
    )
  }
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.startsWith('/') ? url.replace(/[?#].*/s, '') : (URL.parse(url)?.pathname ?? '/')
}

import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { text } from 'node:stream/consumers'

const longestWaitMs = 10_000

export type OwnAnswer = { status: number; date: string | undefined; body: string }

/**
 * Sends a request to the issuer of this deployment as outsiders would: to its public name, through every proxy in
 * front. The administrator configured the address, so it may be any. Redirects are not followed.
 */
export function askIssuer(url: URL): Promise<OwnAnswer> {
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const asked = send(url, { signal: AbortSignal.timeout(longestWaitMs), headers: { accept: 'application/json' } })
    asked.on('error', reject)
    asked.on('response', (answer) => {
      text(answer).then(
        (body) =>
          resolve({ status: answer.statusCode ?? 0, date: answer.headers.date, body: body.slice(0, 1_000_000) }),
        reject,
      )
    })
    asked.end()
  })
}

import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps, type RequestOptions } from 'node:https'
import { isIP, type TcpNetConnectOpts } from 'node:net'

export type Outgoing = { url: URL; method: string; headers: Headers; body: Buffer }

const longestBodyBytes = 65_536
const longestHeadBytes = 16_384 // Node.js's default, which an option of the process could raise

// Cookies are between a browser and us. The others say how the message is framed and whom it is for, which only whoever
// sends it can know; and with an encoding, a short body would have no bound on its length.
const notPassedOn = [
  'cookie',
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'content-length',
  'accept-encoding',
  'expect',
  'te',
  'trailer',
  'upgrade',
]

/**
 * Sends a request over a connection of its own to one of these addresses, and resolves when an answer begins.
 * `onSent` is called between the two. Aborting the signal is what ends the connection, whatever state it is in.
 */
export function send(
  { url, method, headers, body }: Outgoing,
  { addresses, signal, onSent }: { addresses: readonly string[]; signal: AbortSignal; onSent: () => void },
): Promise<IncomingMessage> {
  const passedOn = [...headers].filter(([name]) => !notPassedOn.includes(name))
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  const options = {
    method,
    headers: { ...Object.fromEntries(passedOn), 'accept-encoding': 'identity' },
    agent: false, // a connection kept open would be to an address that was checked for another request
    lookup: (_hostname, _options, callback) => callback(null, found),
    autoSelectFamily: true, // tries them all, and is what makes the lookup be asked for all
    rejectUnauthorized: true, // even with NODE_TLS_REJECT_UNAUTHORIZED=0
    maxHeaderSize: longestHeadBytes,
    signal,
  } satisfies RequestOptions & Pick<TcpNetConnectOpts, 'autoSelectFamily'>
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? overHttps(url, options) : overHttp(url, options)
    request.on('finish', onSent)
    request.on('response', resolve)
    request.on('error', reject) // also after the answer began, when there is nobody left to tell
    request.end(body)
  })
}

/**
 * The answer, whole, if it is a success.
 *
 * A redirect is none: where it leads was not checked. Nor is any other status, so that whoever named the address does
 * not learn what a server there has to say.
 *
 * @throws Error with the reason, which is for the log alone.
 */
export async function receive(answer: IncomingMessage): Promise<Response> {
  const { statusCode: status = 0, headersDistinct } = answer
  if (status < 200 || status > 299) throw new Error(`it answered with status ${status}`)
  const encoding = answer.headers['content-encoding'] ?? 'identity'
  if (encoding.toLowerCase() !== 'identity') throw new Error('its answer has an encoding that was not asked for')

  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > longestBodyBytes) throw new Error(`its answer is longer than ${longestBodyBytes} bytes`)
    chunks.push(chunk)
  }
  const headers = new Headers()
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    for (const value of values) headers.append(name, value)
  }
  const mustBeEmpty = status === 204 || status === 205 // a Response refuses even an empty body with these
  return new Response(mustBeEmpty ? null : Buffer.concat(chunks), { status, headers })
}

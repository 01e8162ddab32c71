import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps, type RequestOptions } from 'node:https'
import { isIP, type TcpNetConnectOpts } from 'node:net'

export type Outgoing = { url: URL; method: string; headers: Headers; body: Buffer }

const longestBodyBytes = 65_536
const longestHeadBytes = 16_384 // the default of Node.js, which an option of the process could raise

// Cookies are between a browser and Postern. The others describe the framing and the recipient of the message, which
// only its sender can know. With an encoding, the length of a short body would have no bound once decoded.
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
 * Sends a request over a new connection to one of these addresses, and resolves when an answer begins. It calls
 * `onSent` when the request was sent. Aborting the signal ends the connection in whatever state.
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
    agent: false, // a connection kept open would lead to an address that was checked for another request
    lookup: (_hostname, _options, callback) => callback(null, found),
    autoSelectFamily: true, // tries all addresses, and makes Node ask the lookup for all of them
    rejectUnauthorized: true, // even with NODE_TLS_REJECT_UNAUTHORIZED=0
    maxHeaderSize: longestHeadBytes,
    signal,
  } satisfies RequestOptions & Pick<TcpNetConnectOpts, 'autoSelectFamily'>
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? overHttps(url, options) : overHttp(url, options)
    request.on('finish', onSent)
    request.on('response', resolve)
    request.on('error', reject) // after the answer began, it only keeps an error from being unhandled
    request.end(body)
  })
}

/**
 * Reads the whole answer, if it is a success or an error that the caller accepts.
 *
 * A redirect fails, because its target was not checked. So does any other status: the person who named the address does
 * not learn what a server there answers.
 *
 * @throws Error with the reason, which is only for the log.
 */
export async function receive(
  answer: IncomingMessage,
  { acceptsErrors = false }: { acceptsErrors?: boolean } = {},
): Promise<Response> {
  const { statusCode: status = 0, headersDistinct } = answer
  const isError = acceptsErrors && status >= 400 && status <= 599
  if (!isError && (status < 200 || status > 299)) throw new Error(`it answered with status ${status}`)
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

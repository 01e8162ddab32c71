import { createBackoff } from './backoff.ts'
import { addressesFor, type DestinationPolicy } from './destinations.ts'
import { receive, send } from './exchange.ts'

export type GuardedFetchOptions = DestinationPolicy & {
  /** How long a request may take. The default is 2.5 s. */
  timeLimitMs?: number
  /** Whether to pass on answers that are errors. Only where an administrator chose the server may others learn of them. */
  acceptsErrors?: boolean
  /**
   * Called with the reason of a failed request. It is for an administrator, never for the person who named the address.
   */
  onFailure?: (failure: { host: string; reason: unknown }) => void
}

const shortTimeLimitMs = 2_500
const failureStepMs = 500

/**
 * Creates a `fetch` for addresses that others chose: over https, to hosts of the Internet, without redirects, within
 * 2.5 s and 64 KiB. Every failure is the same error, after one of five lengths of time. Nobody can thus tell a closed
 * port from an open one, or from an address that was not even connected to. The `cause` has the reason.
 */
export function createGuardedFetch({
  onFailure,
  timeLimitMs = shortTimeLimitMs,
  acceptsErrors = false,
  ...policy
}: GuardedFetchOptions): typeof globalThis.fetch {
  const backoff = createBackoff()

  async function attempt(request: Request): Promise<Response> {
    const url = new URL(request.url)
    url.hash = ''
    // A failure to reach a host counts for every address there. Once the request was sent, a failure counts only for
    // this address, so that a client with a bad address at another's host does not block the fetching of the other's
    // keys.
    let failing = url.host
    if ([url.host, url.href].some(backoff.isHeld)) throw new Error('it failed a moment ago')
    const ended = new AbortController()
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeLimitMs), ended.signal])
    try {
      const addresses = await addressesFor(url, policy, signal)
      const { method, headers } = request
      const body = Buffer.from(await request.arrayBuffer())
      const onSent = () => {
        failing = url.href
      }
      const response = await receive(await send({ url, method, headers, body }, { addresses, signal, onSent }), {
        acceptsErrors,
      })
      for (const key of [url.host, url.href]) backoff.succeeded(key)
      return response
    } catch (error) {
      const reason = signal.aborted ? signal.reason : error // otherwise the reason would be the end of the connection
      backoff.failed(failing)
      onFailure?.({ host: url.host, reason })
      throw reason
    } finally {
      ended.abort()
    }
  }

  return async (input, init) => {
    const beganAtMs = performance.now()
    try {
      return await attempt(new Request(input, init))
    } catch (cause) {
      const tookMs = performance.now() - beganAtMs
      const toldAfterMs = Math.min((Math.floor(tookMs / failureStepMs) + 1) * failureStepMs, timeLimitMs)
      await new Promise((resolve) => setTimeout(resolve, Math.max(toldAfterMs - tookMs, 0)))
      throw new TypeError('the address could not be fetched', { cause })
    }
  }
}

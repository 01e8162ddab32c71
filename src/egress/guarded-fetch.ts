import { createBackoff } from './backoff.ts'
import { addressesFor, type DestinationPolicy } from './destinations.ts'
import { receive, send } from './exchange.ts'

export type GuardedFetchOptions = DestinationPolicy & {
  /** Told why a request failed. That is for an operator, and never for whoever named the address. */
  onFailure?: (failure: { host: string; reason: unknown }) => void
}

const timeLimitMs = 2_500
const failureStepMs = 500

/**
 * A `fetch` for addresses that others chose: over https, to hosts of the Internet, without redirects, within 2.5 s and
 * 64 KiB. Whatever goes wrong is one error, and takes one of five lengths of time, so that nobody can tell a closed port
 * from an open one or from an address that is not connected to at all. Its `cause` has the reason.
 */
export function createGuardedFetch({ onFailure, ...policy }: GuardedFetchOptions): typeof globalThis.fetch {
  const backoff = createBackoff()

  async function attempt(request: Request): Promise<Response> {
    const url = new URL(request.url)
    url.hash = ''
    // As long as a host cannot be spoken to, that goes for all who name it. Once it can, only for this address, so
    // that a client naming a bad address at another's host does not keep the other's keys from being fetched.
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
      const response = await receive(await send({ url, method, headers, body }, { addresses, signal, onSent }))
      for (const key of [url.host, url.href]) backoff.succeeded(key)
      return response
    } catch (error) {
      const reason = signal.aborted ? signal.reason : error // or else it is merely how the connection ended
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

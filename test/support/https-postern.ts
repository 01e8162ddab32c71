import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { freePort, startPostern, type TestPostern } from './postern.ts'
import { createVisitor, type Visitor } from './visitor.ts'
import { basic } from './wire.ts'

/** A Postern with an https issuer, behind a simulated proxy that ends TLS. */
export type HttpsPostern = TestPostern & {
  /** Sends requests for the issuer as such a proxy forwards them. */
  fetch: typeof fetch
  /** The port of the issuer, for a proxy to listen on. */
  proxyPort: number
}

export async function startHttpsPostern(settings: Record<string, string> = {}): Promise<HttpsPostern> {
  const proxyPort = await freePort()
  const host = `login.example.test:${proxyPort}`
  const postern = await startPostern({ ISSUER: `https://${host}`, TRUSTED_PROXIES: '127.0.0.1', ...settings })
  return Object.assign(postern, {
    proxyPort,
    fetch: (input: Parameters<typeof fetch>[0], init: RequestInit = {}) => {
      const { pathname, search } = new URL(String(input))
      const headers = { ...(init.headers as Record<string, string>), ...forwarded(host) }
      return fetch(`http://127.0.0.1:${postern.config.PORT}${pathname}${search}`, { ...init, headers })
    },
  })
}

/** Returns the headers that a proxy that ends TLS adds to a request. */
export function forwarded(host: string): Record<string, string> {
  return { 'x-forwarded-host': host, 'x-forwarded-proto': 'https' }
}

/** Sends a request to an endpoint as a client with its secret does, and returns the answer. */
export async function ask(
  { issuer, fetch }: HttpsPostern,
  client: ClientMetadata,
  path: string,
  form: Record<string, string>,
): Promise<Record<string, unknown>> {
  const headers = { authorization: basic(client.client_id, String(client['client_secret'])) }
  const answer = await fetch(issuer + path, { method: 'POST', headers, body: new URLSearchParams(form) })
  return (await answer.json()) as Record<string, unknown>
}

/**
 * Creates a visitor who can stop before a sign-in continues: after an answer was given, and before it has any effect.
 */
export function createParkingVisitor({ issuer, fetch }: HttpsPostern): {
  visitor: Visitor
  /** Does some work without following the redirect that would continue it. */
  park<T>(work: (visitor: Visitor) => Promise<T>): Promise<T>
} {
  let isParking = false
  const visitor = createVisitor(issuer, {
    fetch: async (input, init) => {
      const goesOn = /^\/(oauth\/authorize|device)\/./.test(new URL(String(input)).pathname)
      return isParking && goesOn ? new Response('parked') : fetch(input, init)
    },
  })
  return {
    visitor,
    async park(work) {
      isParking = true
      const result = await work(visitor)
      isParking = false
      return result
    },
  }
}

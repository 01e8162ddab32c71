import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import type * as keys from '../../src/stores/keys/keys.ts'
import {
  type Answer,
  authorizationRequest,
  browserAt,
  getCode,
  login,
  proceed,
  type Reachable,
  redeem,
  refresh,
  token,
} from './journey.ts'

export type Scene = {
  server: Reachable
  /** Clients by the algorithm of their ID tokens. */
  clients: ReadonlyMap<string, ClientMetadata>
  /** A client that gets tokens for itself. */
  machine: ClientMetadata
  email: string
  /** Requests a token, and checks it closely. */
  obtain(member: 'id_token' | 'access_token', ask: () => Promise<Answer>): Promise<Obtained>
}

export type Obtained = { jwt: string; answer: Answer; key: keys.Key }

export type Traffic = ReturnType<typeof createTraffic>

export const postLogoutRedirectUri = 'https://rp.example/bye'

/** Creates the traffic of people and machines on an ordinary day. Each function throws on any unusual outcome. */
export function createTraffic({ server, clients, machine, email, obtain }: Scene) {
  const algorithms = [...clients.keys()]

  function clientOf(alg: string): ClientMetadata {
    const found = clients.get(alg)
    if (!found) throw new Error(`no client has ${alg} ID tokens`)
    return found
  }

  /** Makes one browser return to each relying party in turn. It signs in once, and consents to each once. */
  async function comingBack(): Promise<() => Promise<void>> {
    const browser = browserAt(server)
    for (const alg of algorithms) await getCode(browser, clientOf(alg), { email })
    let count = 0
    return async () => {
      const client = clientOf(String(algorithms[count++ % algorithms.length]))
      const { path, verifier } = authorizationRequest(client)
      const { url } = await browser.get(path)
      const code = new URL(url).searchParams.get('code')
      if (!code) throw new Error(`the session is lost: ${url}`)
      await obtain('id_token', () => redeem(server, client, { code, verifier }))
    }
  }

  async function refreshing(alg: string): Promise<() => Promise<void>> {
    const client = clientOf(alg)
    let { refreshToken } = await login(server, client, { email })
    return async () => {
      const { answer } = await obtain('id_token', () => refresh(server, client, refreshToken))
      refreshToken = String(answer.json['refresh_token'])
    }
  }

  /** Signs a person in with a new browser. */
  async function signIn(alg: string) {
    const browser = browserAt(server)
    const code = await getCode(browser, clientOf(alg), { email })
    return { browser, ...(await obtain('id_token', () => redeem(server, clientOf(alg), code))) }
  }

  /** Opens a sign-in page before a rotation, and returns a function that completes it afterwards. */
  async function openSignIn(alg: string) {
    const browser = browserAt(server)
    const { path, verifier } = authorizationRequest(clientOf(alg))
    const page = await browser.get(path)
    return async () => {
      const { url } = await proceed(browser, page, email)
      const code = new URL(url).searchParams.get('code')
      if (!code) throw new Error(`the interaction is lost: ${url}`)
      await obtain('id_token', () => redeem(server, clientOf(alg), { code, verifier }))
    }
  }

  /** Signs out with a token that the previous key signed (OpenID Connect RP-Initiated Logout 1.0 §2). */
  async function signOut({ browser, jwt }: Awaited<ReturnType<typeof signIn>>): Promise<void> {
    const { url } = await browser.get(
      `/oauth/logout?${new URLSearchParams({ id_token_hint: jwt, post_logout_redirect_uri: postLogoutRedirectUri })}`,
    )
    if (url !== postLogoutRedirectUri) throw new Error(`signing out ended at ${url}`)
  }

  /** Creates a client whose proofs carry the latest nonce, and that tries again once with a new one (RFC 9449 §8). */
  async function proving(resource: string): Promise<() => Promise<void>> {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const jwk = await exportJWK(publicKey)
    let nonce: string | undefined
    const prove = () =>
      new SignJWT({ htm: 'POST', htu: `${server.issuer}/oauth/token`, jti: randomUUID(), ...(nonce && { nonce }) })
        .setIssuedAt()
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .sign(privateKey)
    const noting: Reachable = {
      issuer: server.issuer,
      async fetch(input, init) {
        const response = await server.fetch(input, init)
        nonce = response.headers.get('dpop-nonce') ?? nonce
        return response
      },
    }
    const form = { grant_type: 'client_credentials', scope: 'read', resource }
    const ask = async () => token(noting, machine, form, { dpop: await prove() })
    return async () => {
      await obtain('access_token', async () => {
        const answer = await ask()
        if (answer.error !== 'use_dpop_nonce') return answer
        return ask()
      })
    }
  }

  const askForMachine = (resource: string) => () =>
    obtain('access_token', () => token(server, machine, { grant_type: 'client_credentials', scope: 'read', resource }))

  return { comingBack, refreshing, signIn, openSignIn, signOut, askForMachine, proving }
}

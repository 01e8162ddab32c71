import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { SignJWT } from 'jose'
import { freePort } from '../support/postern.ts'
import { createKey } from '../support/wire.ts'
import { serve } from './apis.ts'

export type Asked = {
  path: string
  authorization: string | undefined
  accept: string | undefined
  form: URLSearchParams
}

export type ForeignServer = {
  issuer: string
  /** The requests that it received, at any of its endpoints. */
  asked: Asked[]
  /** Returns the number of introspection requests among them. */
  introspections(): number
  /** The published metadata, which tests may change. */
  metadata: Record<string, unknown>
  jwks: { keys: object[] }
  /** Answers an introspection request. Tests may replace it. */
  introspect(token: string): unknown
  /** Handles a request if it is set and returns true. */
  intercept: ((path: string, res: ServerResponse) => boolean) | undefined
  /** Signs a JWT access token (RFC 9068 §2) with these differences. */
  sign(
    claims?: Record<string, unknown>,
    header?: Record<string, unknown>,
    key?: Uint8Array | CryptoKey,
  ): Promise<string>
  stop(): Promise<void>
}

export const audience = 'https://api.example/notes'

/** Returns the claims of a valid token. */
export const goodClaims = (issuer: string): Record<string, unknown> => {
  const iat = Math.floor(Date.now() / 1000)
  return {
    iss: issuer,
    aud: audience,
    sub: 'ada',
    client_id: 'app',
    scope: 'read',
    iat,
    exp: iat + 60,
    jti: randomUUID(),
  }
}

/** Starts an authorization server of somebody else, which tests can make answer as Postern never would. */
export async function startForeignServer(): Promise<ForeignServer> {
  const port = await freePort()
  const issuer = `http://localhost:${port}`
  const { key, jwks } = await createKey('ES256', 'k1')
  const server: ForeignServer = {
    issuer,
    asked: [],
    introspections: () => server.asked.filter(({ path }) => path === '/introspect').length,
    metadata: { issuer, jwks_uri: `${issuer}/jwks`, introspection_endpoint: `${issuer}/introspect` },
    jwks,
    introspect: () => ({ active: true, token_type: 'Bearer', ...goodClaims(issuer) }),
    intercept: undefined,
    sign: (claims = {}, header = {}, by = key) =>
      new SignJWT({ ...goodClaims(issuer), ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1', ...header })
        .sign(by),
    stop: await serve(answer, port),
  }
  return server

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of req) body += String(chunk)
    const path = String(req.url)
    const form = new URLSearchParams(body)
    server.asked.push({ path, authorization: req.headers.authorization, accept: req.headers.accept, form })
    if (server.intercept?.(path, res)) return
    const answers: Record<string, () => unknown> = {
      '/.well-known/oauth-authorization-server': () => server.metadata,
      '/jwks': () => server.jwks,
      '/introspect': () => server.introspect(String(form.get('token'))),
    }
    const found = answers[path]?.()
    res.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(found))
  }
}

/** Creates a request with this token. */
export const bring = (token: string, headers: Record<string, string> = {}, path = '/notes') =>
  new Request(`https://api.example${path}`, { headers: { authorization: `Bearer ${token}`, ...headers } })

/** Returns the content of a refusal. Fails if the request was accepted. */
export async function refusalOf(answer: Promise<object | Response>) {
  const response = await answer
  if (!(response instanceof Response)) throw new Error(`it was accepted: ${JSON.stringify(response)}`)
  const body = (await response.json()) as { error?: string; error_description?: string }
  const challenge = response.headers.get('www-authenticate')
  return { status: response.status, challenge, headers: response.headers, ...body }
}

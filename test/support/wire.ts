import { request } from 'node:http'
import { createLocalJWKSet, exportJWK, generateKeyPair, type JSONWebKeySet, type JWK } from 'jose'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import type { TestPostern } from './postern.ts'

export type Answer = { status: number; headers: Headers; text: string; json: Record<string, unknown> }

export type Sent = {
  method?: string
  /** Authenticates with `client_secret_basic`. Without it the request has no client authentication. */
  client?: ClientMetadata | undefined
  bearer?: string
  form?: Record<string, string | string[]>
  body?: unknown
  headers?: Record<string, string>
}

/** Sends a request as it is on the wire, including ones that no well-behaved client library would send. */
export async function send(
  { issuer }: { issuer: string },
  path: string,
  { method, client, bearer, form, body, headers = {} }: Sent = {},
): Promise<Answer> {
  const fields = new URLSearchParams()
  for (const [name, value] of Object.entries(form ?? {})) for (const item of [value].flat()) fields.append(name, item)
  const response = await fetch(new URL(path, issuer), {
    method: method ?? (form || body !== undefined ? 'POST' : 'GET'),
    redirect: 'manual',
    headers: {
      accept: 'application/json',
      ...(client && { authorization: basic(client.client_id, String(client['client_secret'])) }),
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(form && { body: fields }),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: parsed(text) }
}

/** Sends a request to a port with any `Host`, which `fetch` does not let its caller choose. */
export function knock(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: 'localhost', port, path, method, headers, agent: false }, async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
      const given = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as [string, string])
      resolve({ status: Number(response.statusCode), headers: new Headers(given), text, json: parsed(text) })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

/** Returns the `Authorization` header of RFC 6749 §2.3.1. */
export function basic(id: string, secret: string): string {
  const encode = (value: string) => encodeURIComponent(value).replaceAll('%20', '+')
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** Returns the parameters of an authorization response, from the query or the fragment. */
export function answerOf(url: string | URL): Record<string, string> {
  const { search, hash } = new URL(url)
  return Object.fromEntries(new URLSearchParams(hash ? hash.slice(1) : search))
}

/** Returns the provider's published keys, for jose to verify with. */
export async function publishedKeys(postern: { issuer: string }) {
  return createLocalJWKSet((await send(postern, '/oauth/jwks')).json as unknown as JSONWebKeySet)
}

/** Creates a key pair of a client, with the public half as the client registers it. */
export async function createKey(alg = 'ES256', kid = 'k1'): Promise<{ key: CryptoKey; jwks: { keys: JWK[] } }> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { key: privateKey, jwks: { keys: [{ ...(await exportJWK(publicKey)), alg, kid, use: 'sig' }] } }
}

/** Moves the stored artifacts of one model into the past, as if that many seconds had passed. */
export async function age({ database }: TestPostern, model: string, seconds: number): Promise<void> {
  await database.query(
    `update artifacts set expires_at = expires_at - make_interval(secs => $2),
       payload = payload || jsonb_build_object('exp', (payload->>'exp')::bigint - $2::int, 'iat', (payload->>'iat')::bigint - $2::int)
     where model = $1`,
    [model, seconds],
  )
}

/** Redeems a code by hand (RFC 6749 §4.1.3), with these differences. */
export function redeem(
  postern: { issuer: string },
  { callback, verifier }: { callback: URL; verifier: string },
  { client, ...differing }: { client?: ClientMetadata | undefined; [field: string]: unknown },
): Promise<Answer> {
  const fields = {
    grant_type: 'authorization_code',
    code: String(callback.searchParams.get('code')),
    redirect_uri: 'https://rp.example/cb',
    code_verifier: verifier,
    ...differing,
  }
  const form = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return send(postern, '/oauth/token', { client, form: form as Record<string, string> })
}

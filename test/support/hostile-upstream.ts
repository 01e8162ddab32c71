import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'

/** The lies of an upstream provider in a test. */
export type Lies = {
  /** Changes the claims of the ID token. */
  claims?: (claims: JWTPayload) => JWTPayload
  userinfo?: Record<string, unknown>
  metadata?: Record<string, unknown>
  /** How the ID token is signed: `none` has no signature, `HS256` the client secret as key, and `stranger` an unknown key. */
  signing?: 'RS256' | 'none' | 'HS256' | 'stranger'
  /** Whether it redeems a code without a look at PKCE. */
  isCareless?: boolean
}

type Request = { nonce: string | undefined; challenge: string | undefined; clientId: string }

export type HostileUpstream = {
  issuer: string
  lies: Lies
  /** The bodies that the token endpoint received, and the `Authorization` header of each. */
  received: { form: URLSearchParams; authorization: string | undefined }[]
  /** Answers a request as the provider does after a sign-in: returns where it sends the browser. */
  answer(away: string, changes?: Record<string, string | undefined>): URL
  /** Sends every request to this server, for providers whose address is fixed. */
  fetch: typeof globalThis.fetch
  /** Signs claims with its key. */
  sign(claims: JWTPayload): Promise<string>
  /** Answers below `/user` as GitHub does. */
  github: Record<string, unknown>
  stop(): Promise<void>
}

export const hostileSecret = 'a secret of an upstream client, long enough'

/** Starts an upstream provider over HTTP that says whatever a test makes it say. */
export async function startHostileUpstream(alias?: string): Promise<HostileUpstream> {
  const keys = await generateKeyPair('RS256', { extractable: true })
  const stranger = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }
  const requests = new Map<string, Request>()
  const upstream = {
    lies: {} as Lies,
    github: {} as Record<string, unknown>,
    received: [] as HostileUpstream['received'],
  }
  let origin = ''
  const issuer = () => alias ?? origin
  const endpoints = () => (alias === undefined ? origin : 'https://endpoints.example')

  async function idToken({ nonce, clientId }: Request): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const usual: JWTPayload = {
      ...{ iss: issuer(), aud: clientId, sub: 'subject-1', iat: now, exp: now + 300 },
      ...(nonce !== undefined && { nonce }),
      ...{ email: 'ada@example.com', email_verified: true, name: 'Ada' },
    }
    const claims = upstream.lies.claims?.(usual) ?? usual
    const { signing = 'RS256' } = upstream.lies
    if (signing === 'none') return new UnsecuredJWT(claims).encode()
    const alg = signing === 'HS256' ? 'HS256' : 'RS256'
    const signed = new SignJWT(claims).setProtectedHeader({ alg, kid: 'one' })
    const key: CryptoKey | Uint8Array =
      signing === 'HS256'
        ? new TextEncoder().encode(hostileSecret)
        : signing === 'stranger'
          ? stranger.privateKey
          : keys.privateKey
    return signed.sign(key)
  }

  async function token(form: URLSearchParams): Promise<{ status: number; body: unknown }> {
    const request = requests.get(form.get('code') ?? '')
    requests.delete(form.get('code') ?? '')
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (!request || (!upstream.lies.isCareless && request.challenge !== verifier)) {
      return { status: 400, body: { error: 'invalid_grant' } }
    }
    const tokens = { access_token: 'upstream-access-token', token_type: 'Bearer', expires_in: 300 }
    return { status: 200, body: request.nonce === undefined ? tokens : { ...tokens, id_token: await idToken(request) } }
  }

  const server = createServer(async (req, res) => {
    const { pathname } = new URL(req.url ?? '/', 'http://localhost')
    const answer = (status: number, body: unknown) =>
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (pathname.endsWith('/.well-known/openid-configuration')) {
      return answer(200, {
        issuer: issuer(),
        authorization_endpoint: `${endpoints()}/authorize`,
        token_endpoint: `${endpoints()}/token`,
        jwks_uri: `${endpoints()}/jwks`,
        userinfo_endpoint: `${endpoints()}/userinfo`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'HS256', 'none'],
        authorization_response_iss_parameter_supported: alias === undefined,
        ...upstream.lies.metadata,
      })
    }
    if (pathname === '/jwks') return answer(200, { keys: [jwk] })
    if (pathname === '/userinfo') return answer(200, upstream.lies.userinfo ?? { sub: 'subject-1' })
    if (pathname.startsWith('/user')) return answer(200, upstream.github[pathname] ?? {})
    const form = new URLSearchParams(await text(req))
    upstream.received.push({ form, authorization: req.headers.authorization })
    const { status, body } = await token(form)
    return answer(status, body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  origin = `http://localhost:${typeof address === 'object' && address ? address.port : 0}`

  return {
    ...upstream,
    get lies() {
      return upstream.lies
    },
    set lies(lies) {
      upstream.lies = lies
    },
    get github() {
      return upstream.github
    },
    set github(answers) {
      upstream.github = answers
    },
    issuer: issuer(),
    sign: (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'one' }).sign(keys.privateKey),
    answer(away, changes = {}) {
      const asked = new URL(away).searchParams
      const code = randomBytes(16).toString('hex')
      requests.set(code, {
        nonce: asked.get('nonce') ?? undefined,
        challenge: asked.get('code_challenge') ?? undefined,
        clientId: asked.get('client_id') ?? '',
      })
      const callback = new URL(asked.get('redirect_uri') ?? '')
      const answered = {
        code,
        state: asked.get('state') ?? '',
        ...(alias === undefined && { iss: origin }),
        ...changes,
      }
      for (const [name, value] of Object.entries(answered)) {
        if (value !== undefined) callback.searchParams.set(name, value)
      }
      return callback
    },
    fetch: (input, init) => {
      const { pathname, hostname } = new URL(input instanceof Request ? input.url : input)
      const path = hostname === 'github.com' ? '/token' : pathname
      return fetch(`${origin}${path}`, init)
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

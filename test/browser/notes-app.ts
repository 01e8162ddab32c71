import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oidc from 'openid-client'

export type Tokens = { access: string; refresh: string; subject: string }

/** An app at an origin of its own, which keeps the tokens of everybody who signs in. */
export type NotesApp = {
  origin: string
  /** Uses this client from now on. */
  use(config: oidc.Configuration): void
  /** The tokens of each sign-in, oldest first. */
  tokens: Tokens[]
  stop(): Promise<void>
}

export async function startNotesApp(): Promise<NotesApp> {
  const tokens: Tokens[] = []
  const begun = new Map<string, string>()
  let config: oidc.Configuration

  const server = createServer((request, response) => {
    const url = new URL(String(request.url), origin)
    answer(url).then(
      ({ location, body = '' }) => {
        if (location) response.writeHead(303, { location }).end()
        else response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(body))
      },
      (error) => response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error?.cause ?? error)),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function answer(url: URL): Promise<{ location?: string; body?: string }> {
    if (url.pathname === '/login') return { location: await begin() }
    if (url.pathname === '/callback') return end(url)
    if (url.pathname === '/notes') return { body: '<h1>Your notes</h1>' }
    return { body: '<h1>Field Notes</h1><a href="/login">Sign in</a>' }
  }

  async function begin(): Promise<string> {
    const verifier = oidc.randomPKCECodeVerifier()
    const state = oidc.randomState()
    begun.set(state, verifier)
    return oidc.buildAuthorizationUrl(config, {
      redirect_uri: `${origin}/callback`,
      scope: 'openid profile email offline_access',
      prompt: 'consent',
      state,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).href
  }

  async function end(url: URL): Promise<{ location: string }> {
    const state = String(url.searchParams.get('state'))
    const received = await oidc.authorizationCodeGrant(config, url, {
      pkceCodeVerifier: String(begun.get(state)),
      expectedState: state,
    })
    const { access_token: access, refresh_token: refresh } = received
    const subject = received.claims()?.sub
    if (!refresh || !subject) throw new Error('there is no refresh token')
    tokens.push({ access, refresh, subject })
    return { location: '/notes' }
  }

  return {
    origin,
    use(configuration) {
      config = configuration
    },
    tokens,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const page = (body: string) =>
  `<!doctype html><html lang="en"><title>Field Notes</title><link rel="icon" href="data:,"><main>${body}</main>`

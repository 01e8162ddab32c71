import type { TestPostern } from './postern.ts'
import { createReceiver, type Receiver } from './receiver.ts'
import { beginLogin, discover, login } from './relying-party.ts'
import type { Visitor } from './visitor.ts'
import { basic, knock } from './wire.ts'

/** The tokens of one sign-in. The port is that of the server to ask. */
export type AppTokens = {
  isLive(port?: number): Promise<boolean>
  /** Returns the error of a refresh, if there is one. */
  refresh(port?: number): Promise<unknown>
}

/** An app that people sign in to, and that hears of the end of their sessions. */
export type TestApp = {
  clientId: string
  loggedOut: Receiver['received']
  signIn(visitor: Visitor, scope?: string): Promise<AppTokens>
  /** Returns where a request without a page leads. */
  silently(visitor: Visitor): Promise<string>
  stop(): Promise<void>
}

export async function createApp(postern: TestPostern, metadata: Record<string, unknown> = {}): Promise<TestApp> {
  const receiver = await createReceiver()
  const client = await postern.createClient({
    backchannel_logout_uri: `${receiver.url}/logout`,
    backchannel_logout_session_required: true,
    ...metadata,
  })
  const { host, port: issuerPort } = new URL(postern.issuer)

  async function post(path: string, form: Record<string, string>, port = Number(issuerPort)) {
    const answer = await knock(port, path, {
      method: 'POST',
      headers: {
        host,
        authorization: basic(client.client_id, String(client['client_secret'])),
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: String(new URLSearchParams(form)),
    })
    return answer.json
  }

  return {
    clientId: client.client_id,
    loggedOut: receiver.received,
    async signIn(visitor, scope = 'openid') {
      const { tokens } = await login(postern, client, { email: '', scope, visitor })
      const { access_token: token, refresh_token: refreshToken = '' } = tokens
      return {
        isLive: async (port) => (await post('/oauth/introspect', { token }, port))['active'] === true,
        refresh: async (port) =>
          (await post('/oauth/token', { grant_type: 'refresh_token', refresh_token: refreshToken }, port))['error'],
      }
    },
    async silently(visitor) {
      const config = await discover(postern, client)
      const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'none' })
      return page.url
    },
    stop: () => receiver.stop(),
  }
}

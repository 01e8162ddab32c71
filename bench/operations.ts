import type { Connection, Response } from './connection.ts'
import { type Credentials, challenge, client, machines, redirectUri, verifier } from './people.ts'

/**
 * A server to send requests to. `machines` is the number of clients that take turns; with 0 it is the client of people.
 */
export type Server = { port: number; cookies: string[]; machines: number }

/** One kind of request: the number of codes that it needs, and the function that sends it again and again. */
export type Operation = {
  codes(bounds: { connections: number; requests: number }): number
  /** Prepares, untimed. Returns a function that sends one request on a connection and checks the answer. */
  prepare(context: { server: Server; connections: Connection[]; codes: string[] }): Promise<Send>
}

export type Send = (connection: Connection, number: number) => Promise<void>

function post({ port }: Server, path: string, form: Record<string, string>, by: Credentials = client): string {
  const body = new URLSearchParams(form).toString()
  const credentials = Buffer.from(`${by.client_id}:${by.client_secret}`).toString('base64')
  return [
    `POST ${path} HTTP/1.1`,
    `Host: localhost:${port}`,
    `Authorization: Basic ${credentials}`,
    'Accept: application/json',
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n')
}

type Tokens = { access_token: string; refresh_token: string; id_token: string }

function tokensOf({ status, body }: Response, names: (keyof Tokens)[]): Tokens {
  const tokens = status === 200 ? JSON.parse(body) : {}
  if (status !== 200 || !names.every((name) => tokens[name])) throw new Error(`no tokens: ${status} ${body}`)
  return tokens
}

const all: (keyof Tokens)[] = ['access_token', 'refresh_token', 'id_token']

async function exchange(server: Server, connection: Connection, code: string | undefined): Promise<Tokens> {
  const form = {
    grant_type: 'authorization_code',
    code: code ?? '',
    redirect_uri: redirectUri,
    code_verifier: verifier,
  }
  return tokensOf(await connection.send(post(server, '/oauth/token', form)), all)
}

async function exchangeAll({ server, connections, codes }: Parameters<Operation['prepare']>[0]): Promise<Tokens[]> {
  const shares = connections.map((_, number) => codes.filter((_code, index) => index % connections.length === number))
  const exchanged = await Promise.all(
    connections.map(async (connection, number) => {
      const tokens: Tokens[] = []
      for (const code of shares[number] ?? []) tokens.push(await exchange(server, connection, code))
      return tokens
    }),
  )
  return exchanged.flat()
}

export const operations: Record<string, Operation> = {
  client_credentials: {
    codes: () => 0,
    async prepare({ server }) {
      const clients = server.machines > 0 ? machines(server.machines) : [client]
      const form = { grant_type: 'client_credentials' }
      const requests = clients.map((by) => post(server, '/oauth/token', form, by))
      let next = 0
      return async (connection) => {
        tokensOf(await connection.send(requests[next++ % requests.length] ?? ''), ['access_token'])
      }
    },
  },

  introspection: {
    codes: ({ connections }) => connections * 8,
    async prepare(context) {
      const tokens = await exchangeAll(context)
      const requests = tokens.map(({ access_token: token }) => post(context.server, '/oauth/introspect', { token }))
      let next = 0
      return async (connection) => {
        const { status, body } = await connection.send(requests[next++ % requests.length] ?? '')
        if (status !== 200 || JSON.parse(body).active !== true) throw new Error(`not active: ${status} ${body}`)
      }
    },
  },

  'code exchange': {
    codes: ({ requests }) => requests,
    async prepare({ server, codes }) {
      return async (connection) => {
        await exchange(server, connection, codes.pop())
      }
    },
  },

  'refresh with rotation': {
    codes: ({ connections }) => connections,
    async prepare(context) {
      const chains = (await exchangeAll(context)).map((tokens) => tokens.refresh_token)
      return async (connection, number) => {
        const form = { grant_type: 'refresh_token', refresh_token: chains[number] ?? '' }
        const tokens = tokensOf(await connection.send(post(context.server, '/oauth/token', form)), all)
        if (tokens.refresh_token === chains[number]) throw new Error('the refresh token was not rotated')
        chains[number] = tokens.refresh_token
      }
    },
  },

  'authorize, signed in': {
    codes: () => 0,
    async prepare({ server, connections }) {
      const query = new URLSearchParams({
        client_id: client.client_id,
        response_type: 'code',
        redirect_uri: redirectUri,
        scope: 'openid',
        code_challenge: challenge,
        code_challenge_method: 'S256',
        state: 'a-state',
      })
      const turns = connections.map((_, number) => number)
      return async (connection, number) => {
        const turn = turns[number] ?? 0
        turns[number] = turn + connections.length
        const { status, head, body } = await connection.send(
          [
            `GET /oauth/authorize?${query} HTTP/1.1`,
            `Host: localhost:${server.port}`,
            `Cookie: ${server.cookies[turn % server.cookies.length]}`,
            '\r\n',
          ].join('\r\n'),
        )
        if (status !== 303 || !/\r\nlocation: https:\/\/rp\.example\/cb\?code=/i.test(head)) {
          throw new Error(`no code: ${status} ${head}\n${body}`)
        }
      }
    },
  },
}

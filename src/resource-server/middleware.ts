import type { Claims } from './claims.ts'
import type { HttpAnswer, HttpRequest } from './http.ts'

// The parts of Koa, Express and Node.js that are used here, so that their types are not needed.

/** The parts of an `IncomingMessage` that are used. */
export type NodeRequest = {
  method?: string | undefined
  url?: string | undefined
  /** The address as it was sent, which Express and Koa keep when they mount a router below a path. */
  originalUrl?: string | undefined
  headers: Record<string, string | string[] | undefined>
  headersDistinct?: Record<string, string[] | undefined> | undefined
}

/** The parts of a `ServerResponse` that are used. */
export type NodeResponse = {
  statusCode: number
  setHeader(name: string, value: string): unknown
  end(text: string): unknown
}

export type KoaContext = {
  req: NodeRequest
  originalUrl: string
  state: Record<string, unknown>
  status: number
  body: unknown
  set(headers: Record<string, string>): unknown
}

/** Koa middleware. It puts the claims of the token into `ctx.state.token`. */
export type KoaMiddleware = (ctx: KoaContext, next: () => Promise<unknown>) => Promise<void>

/** Middleware for Express and Connect. It puts the claims of the token into `req.token`. */
export type NodeMiddleware = (
  req: NodeRequest & { token?: Claims | undefined },
  res: NodeResponse,
  next: (error?: unknown) => void,
) => Promise<void>

/** The fate of a request: it is answered, or goes on with a token or without one. */
export type Verdict = { token?: Claims | undefined; answer?: HttpAnswer | undefined }

export type Judge = (request: HttpRequest) => Verdict | Promise<Verdict>

export function forKoa(judge: Judge): KoaMiddleware {
  return async (ctx, next) => {
    const { token, answer } = await judge(read(ctx.req, ctx.originalUrl))
    if (token) ctx.state['token'] = token
    if (!answer) {
      await next()
      return
    }
    ctx.status = answer.status
    ctx.set(answer.headers)
    ctx.body = answer.body
  }
}

export function forExpress(judge: Judge): NodeMiddleware {
  return async (req, res, next) => {
    let verdict: Verdict
    try {
      verdict = await judge(read(req, req.originalUrl ?? req.url))
    } catch (error) {
      return next(error)
    }
    const { token, answer } = verdict
    if (token) req.token = token
    if (!answer) return next()
    res.statusCode = answer.status
    for (const [name, value] of Object.entries({ ...answer.headers, ...json })) res.setHeader(name, value)
    res.end(JSON.stringify(answer.body))
  }
}

export function responseOf({ status, headers, body }: HttpAnswer): Response {
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...json } })
}

const json = { 'content-type': 'application/json; charset=utf-8' }

/**
 * Reads a request of Node.js. `headers` has only the first value of some repeated fields, `headersDistinct` has them
 * all.
 */
function read({ method = '', headers, headersDistinct }: NodeRequest, url = ''): HttpRequest {
  const get = (name: string) => [headersDistinct?.[name] ?? headers[name] ?? []].flat().join(', ') || null
  return { method, url, headers: { get } }
}

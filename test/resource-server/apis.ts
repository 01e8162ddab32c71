import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import Koa from 'koa'
import type { Claims, Guard } from '../../src/resource-server/index.ts'

/** The same API on three frameworks. Guarded and with its metadata, it answers with the claims of the token. */
export const frameworks: Record<'Koa' | 'Express' | 'Request', (guard: Guard) => RequestListener> = {
  Koa: (guard) =>
    new Koa()
      .use(guard.metadata.koa())
      .use(guard.koa())
      .use((ctx) => {
        ctx.body = ctx.state['token']
      })
      .callback(),

  // Calls middleware as Express does. Express is not a dependency of this project.
  Express: (guard) => (req: IncomingMessage & { token?: Claims }, res) => {
    const fail = (error: unknown) => res.writeHead(500).end(String(error))
    const respond = () => res.setHeader('content-type', 'application/json').end(JSON.stringify(req.token))
    const guarded = () => guard.express()(req, res, (error) => (error ? fail(error) : respond()))
    guard.metadata.express()(req, res, (error) => (error ? fail(error) : guarded()))
  },

  Request: (guard) => async (req, res) => {
    const request = new Request(`http://internal.example${req.url}`, {
      method: String(req.method),
      headers: Object.entries(req.headersDistinct).flatMap(([name, values = []]) =>
        values.map((value) => [name, value] as [string, string]),
      ),
    })
    const answer = guard.metadata.request(request) ?? (await guard.request(request))
    const response = answer instanceof Response ? answer : Response.json(answer)
    res.writeHead(response.status, Object.fromEntries(response.headers))
    res.end(await response.text())
  },
}

/** Serves at a port. Returns a function that stops it. */
export async function serve(listener: RequestListener, port: number): Promise<() => Promise<void>> {
  const server = createServer(listener)
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
}

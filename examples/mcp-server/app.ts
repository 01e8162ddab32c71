import { createServer } from 'node:http'
import Router from '@koa/router'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import Koa, { type Context, type Next } from 'koa'
import { koaBody } from 'koa-body'
import { type Claims, requireToken } from '../../src/resource-server/index.ts' // yours: 'postern/resource-server'
import { createTools, needed, scopes, scopesFor } from './tools.ts'

export type Settings = {
  issuer: string
  /** The address of the server, by which it is registered. */
  resource: string
  host: string
  port: number
}

/** An MCP server whose tools answer to access tokens of an OpenID Provider, which it verifies by itself. */
export async function start({ issuer, resource, host, port }: Settings) {
  const mcp = requireToken({
    issuer,
    audience: resource,
    scopes: needed, // for every request, whatever tool it is about
    // offline_access is no scope of this server. But many clients ask for what is listed and nothing else, and would get
    // no refresh token.
    metadata: { resource_name: 'Notes', scopes_supported: [...scopes, 'offline_access'] },
  })
  const notes = new Map<string, string[]>() // by person; use a database
  const router = new Router()

  router.post(
    new URL(resource).pathname,
    koaBody({ urlencoded: false, text: false, jsonLimit: '256kb' }),
    // Which scopes it takes depends on the tool, and the tool is in the body.
    (ctx, next) => mcp.koa({ scopes: scopesFor(ctx.request.body) })(ctx, next),
    async (ctx) => {
      const { sub, client_id } = ctx.state['token'] as Claims
      const owner = String(sub ?? client_id)
      const own = notes.get(owner) ?? []
      notes.set(owner, own)
      // Without sessions: each request says who it is from, and nothing else is remembered.
      const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
      const server = createTools(own)
      ctx.res.once('close', () => server.close())
      ctx.respond = false // the transport does
      await server.connect(transport)
      await transport.handleRequest(ctx.req, ctx.res, ctx.request.body)
    },
  )

  const app = new Koa().use(mcp.metadata.koa()).use(refusePages).use(router.routes()).use(router.allowedMethods())
  const server = createServer(app.callback())
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return {
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Where a request comes from has to be looked at (MCP, Transports, Security Warning). No web page is a client of this. */
async function refusePages(ctx: Context, next: Next): Promise<void> {
  if (ctx.get('origin')) ctx.throw(403, 'This is not for web pages.')
  await next()
}

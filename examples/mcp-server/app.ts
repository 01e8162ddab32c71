import { createServer } from 'node:http'
import Router from '@koa/router'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import Koa, { type Context, type Next } from 'koa'
import { koaBody } from 'koa-body'
import { type Claims, requireToken } from '../../src/resource-server/index.ts' // yours: 'postern/resource-server'
import { createTools, needed, scopes, scopesFor } from './tools.ts'

export type Settings = {
  issuer: string
  /** The address of the server, which is also its registered identifier. */
  resource: string
  host: string
  port: number
}

/** Starts an MCP server that accepts access tokens of an OpenID Provider, and verifies them itself. */
export async function start({ issuer, resource, host, port }: Settings) {
  const mcp = requireToken({
    issuer,
    audience: resource,
    scopes: needed, // for every request, whatever tool it uses
    // offline_access is not a scope of this server. But many clients request exactly the listed scopes, and would get
    // no refresh token without it.
    metadata: { resource_name: 'Notes', scopes_supported: [...scopes, 'offline_access'] },
  })
  const notes = new Map<string, string[]>() // one list a person; a real server uses a database
  const router = new Router()

  router.post(
    new URL(resource).pathname,
    koaBody({ urlencoded: false, text: false, jsonLimit: '256kb' }),
    // The scopes depend on the tool, and the tool is in the body.
    (ctx, next) => mcp.koa({ scopes: scopesFor(ctx.request.body) })(ctx, next),
    async (ctx) => {
      const { sub, client_id } = ctx.state['token'] as Claims
      const owner = String(sub ?? client_id)
      const own = notes.get(owner) ?? []
      notes.set(owner, own)
      // There are no sessions: each request carries its token, and nothing is remembered between requests.
      const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
      const server = createTools(own)
      ctx.res.once('close', () => server.close())
      ctx.respond = false // the transport responds
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

/**
 * Refuses web pages, because servers must check the Origin (MCP, Transports, Security Warning) and no page is a client.
 */
async function refusePages(ctx: Context, next: Next): Promise<void> {
  if (ctx.get('origin')) ctx.throw(403, 'Web pages cannot use this server.')
  await next()
}

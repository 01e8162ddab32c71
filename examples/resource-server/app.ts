import { createServer } from 'node:http'
import Router from '@koa/router'
import Koa from 'koa'
import { type Claims, requireToken } from '../../src/resource-server/index.ts' // yours: 'postern/resource-server'

export type Settings = {
  issuer: string
  clientId: string
  clientSecret: string
  /** The registered identifier of this API. */
  resource: string
  host: string
  port: number
}

/** Starts an API that accepts access tokens of an OpenID Provider, and asks the provider about them. */
export async function start({ issuer, clientId, clientSecret, resource, host, port }: Settings) {
  const api = requireToken({
    issuer,
    audience: resource,
    scopes: ['notes:read'],
    introspection: { clientId, clientSecret },
    metadata: { resource_name: 'Field Notes API' },
  })
  const router = new Router()

  router.get('/api/protected', api.koa(), (ctx) => {
    const { sub, client_id, scope, exp } = ctx.state['token'] as Claims
    ctx.body = { message: `Hello, ${sub ?? client_id}.`, sub, client_id, scope, expires_at: exp }
  })

  const server = createServer(new Koa().use(api.metadata.koa()).use(router.routes()).callback())
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return {
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

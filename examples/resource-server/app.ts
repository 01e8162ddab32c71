import { createServer } from 'node:http'
import Router from '@koa/router'
import Koa from 'koa'
import * as oidc from 'openid-client'
import { type Caller, createRequireScope } from './require-scope.ts'

export type Settings = {
  issuer: string
  clientId: string
  clientSecret: string
  /** The identifier this API is registered by. */
  resource: string
  host: string
  port: number
}

/** An API that answers to access tokens of an OpenID Provider, which it asks about every one. */
export async function start({ issuer, clientId, clientSecret, resource, host, port }: Settings) {
  const config = await oidc.discovery(
    new URL(issuer),
    clientId,
    undefined,
    oidc.ClientSecretBasic(clientSecret),
    issuer.startsWith('http:') ? { execute: [oidc.allowInsecureRequests] } : {}, // a provider on this computer
  )
  const requireScope = createRequireScope({ config, resource })
  const router = new Router()

  router.get('/api/protected', requireScope('profile'), (ctx) => {
    const { sub, client_id, scope, exp } = ctx.state['caller'] as Caller
    ctx.body = { message: `Hello, ${sub ?? client_id}.`, sub, client_id, scope, expires_at: exp }
  })

  const server = createServer(new Koa().use(router.routes()).callback())
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return {
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

import type Provider from 'oidc-provider'
import type { Db } from '../../database/schema.ts'
import type { ResourceServers } from '../../oidc/permissions/resource-servers.ts'
import type { FindWayBack } from '../../oidc/request/expired-interactions.ts'
import type { Render } from '../../views/render.ts'
import type { Csrf } from '../csrf.ts'
import type { BrowserSignIn } from './browser-sign-in.ts'

export type InteractionDependencies = {
  db: Db
  provider: Provider
  render: Render
  csrf: Csrf
  signIn: BrowserSignIn
  resourceServers: ResourceServers
  findWayBack: FindWayBack
  grantLifetimeSeconds: number
  issuer: string
}

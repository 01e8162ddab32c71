import type Provider from 'oidc-provider'
import type { Acting } from '../../accounts/acting.ts'
import type { Db } from '../../database/schema.ts'
import type { ResourceServers } from '../../oidc/permissions/resource-servers.ts'
import type { FindStoppedSignIn } from '../../oidc/request/stopped-sign-ins.ts'
import type { Render } from '../../views/render.ts'
import type { Csrf } from '../csrf.ts'
import type { BrowserSignIn } from './browser-sign-in.ts'

export type InteractionDependencies = {
  db: Db
  provider: Provider
  render: Render
  csrf: Csrf
  signIn: BrowserSignIn
  act: Acting
  resourceServers: ResourceServers
  findStoppedSignIn: FindStoppedSignIn
  grantLifetimeSeconds: number
  issuer: string
}
